import type { Command } from '../command.js';
import { runDemo } from '../demo/run-demo.js';
import { duration, parseOptions } from '../options.js';

const helpText = `Usage: kafnus demo [options]

Starts the four agents, publishes notifications of a small city as Orion would, and shows the output
records: rows, a late update that is skipped, a deletion, a malformed notification, a failure of a
sink. All output is compared with what is expected.

By default it starts its own broker, the mock cluster of librdkafka. That needs no installation, and
proves nothing about exactly-once. With KAFNUS_KAFKA_BROKERS (and KAFNUS_KAFKA_... for TLS and SASL)
it runs on that cluster. Its topics and groups begin with KAFNUS_TOPIC_PREFIX, if set, and then
demo_<run>_.

  --keep          keep the agents running until Ctrl-C, and print their addresses (also: KEEP=1)
  --clean         on a real cluster: delete the topics and groups of this run at the end
  --timeout TIME  time limit for the agents to be ready, and then to be done (default 60s)
  --json          print one JSON object at the end, and nothing else
  --help

Exit codes: 0 the output is as expected, 1 it is not, 2 wrong usage, 130 interrupted.
`;

export const command: Command = {
  help: helpText,
  async run(argv, io) {
    const { values } = parseOptions(
      argv,
      {
        keep: { type: 'boolean', default: isOn(io.env['KEEP']) },
        clean: { type: 'boolean', default: false },
        timeout: { type: 'string', default: '60s' },
        json: { type: 'boolean', default: false },
      },
      false,
    );
    const { keep, clean, json } = values;
    return runDemo({ keep, clean, json, timeoutMs: duration('--timeout', values.timeout) }, io);
  },
};

function isOn(value: string | undefined): boolean {
  return value !== undefined && !['', '0', 'false', 'no'].includes(value.toLowerCase());
}
