import type { Agent } from '@kafnus/agent-runtime';
import { allowedTenants, failureLogger, namingOptions, serviceProblem, topicNames } from '@kafnus/ngsi-core';

import { settings, type Config } from './config.js';

/**
 * The errors agent (SPEC 7): reads the dead letters of Kafka Connect's sinks and of the other
 * agents, and writes a structured log record of each for its tenant. A dead letter whose tenant is
 * not a legal service is rejected to a separate dead-letter topic, never to the agent's input.
 */
export const agent: Agent<Config> = {
  name: 'errors',
  readsDeadLetters: true,
  settings,
  configure(config) {
    const names = topicNames(namingOptions('errors', config));
    const tenants = allowedTenants(config.tenants, (service) => serviceProblem(names, service));
    return {
      inputTopic: names.input,
      deadLetterTopic: names.deadLetter,
      decide: failureLogger({ names, sink: config.sink, tenants }),
    };
  },
};
