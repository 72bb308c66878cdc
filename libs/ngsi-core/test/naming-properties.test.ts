import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  agentNames,
  outputTopic,
  serviceOfTopic,
  serviceProblem,
  topicNames,
  type NamingOptions,
} from '../src/naming.js';

const affix = fc.stringMatching(/^[a-z_.-]{0,6}$/).filter((text) => !text.endsWith('-changelog'));
const word = fc.constantFrom(
  'town',
  'a',
  'raw',
  'historic',
  'lastdata',
  'mutable',
  'error_log',
  'errors',
  'dead',
  'http',
  'x',
);
/** Services that look like parts of topic names. */
const service = fc.oneof(
  fc.array(word, { minLength: 1, maxLength: 5 }).map((words) => words.join('_').slice(0, 50)),
  fc.stringMatching(/^[a-z0-9_]{1,50}$/),
);
const options: fc.Arbitrary<NamingOptions> = fc.record({
  naming: fc.constantFrom('default', 'kafnus'),
  prefix: affix,
  suffix: affix,
  agent: fc.constantFrom(...agentNames),
});

describe('topic names', () => {
  test('no two services that may be used share a topic, whichever agents write', () => {
    fc.assert(
      fc.property(options, service, service, (naming, one, other) => {
        const names = topicNames(naming);
        fc.pre(one !== other && !serviceProblem(names, one) && !serviceProblem(names, other));
        const topics = (name: string) => agentNames.map((agent) => outputTopic(names, agent, name));
        expect(topics(one).filter((topic) => topics(other).includes(topic))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test('the agents of one suite refuse the same services', () => {
    fc.assert(
      fc.property(options, service, (naming, name) => {
        const verdicts = agentNames.map(
          (agent) => serviceProblem(topicNames({ ...naming, agent }), name) === undefined,
        );
        expect(new Set(verdicts).size).toBe(1);
      }),
      { numRuns: 300 },
    );
  });

  test('every output topic leads back to its service', () => {
    fc.assert(
      fc.property(options, service, fc.constantFrom(...agentNames), (naming, name, agent) => {
        const names = topicNames(naming);
        fc.pre(serviceProblem(names, name) === undefined);
        expect(serviceOfTopic(names, outputTopic(names, agent, name), name)).toBe(name);
      }),
      { numRuns: 500 },
    );
  });

  test('no output topic is one that an agent reads or dead-letters to', () => {
    fc.assert(
      fc.property(options, service, fc.constantFrom(...agentNames), (naming, name, agent) => {
        const names = topicNames(naming);
        fc.pre(serviceProblem(names, name) === undefined);
        const topic = outputTopic(names, agent, name);
        for (const reader of agentNames) {
          const theirs = topicNames({ ...naming, agent: reader });
          expect([theirs.input, theirs.deadLetter]).not.toContain(topic);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('any text has a verdict', () => {
    fc.assert(
      fc.property(options, fc.string({ unit: 'binary', maxLength: 80 }), (naming, text) => {
        const names = topicNames(naming);
        const problem = serviceProblem(names, text);
        expect(problem === undefined ? /^[a-z0-9_]{1,50}$/.test(text) : problem.length < 500).toBe(true);
        expect(() => serviceOfTopic(names, text, text)).not.toThrow();
      }),
    );
  });
});
