import type { Command } from '../command.js';
import { runDemo } from '../demo/run.js';
import { duration, parseOptions } from '../options.js';

const HELP = `Usage: kafnus demo [options]

Starts the four agents, publishes a small city to their raw topics as Orion would, and shows what
comes out: records as tables, a late update that is held back, a deletion, a broken notification, a
failure of a sink. Everything that comes is compared with what must come.

Without further settings it brings its own broker (librdkafka's mock cluster): nothing to install,
and nothing proven about exactly-once. With KAFNUS_KAFKA_BROKERS (and KAFNUS_KAFKA_... for TLS and
SASL) it runs on that cluster instead, in topics and groups of its own: KAFNUS_TOPIC_PREFIX, if set,
then demo_<run>_.

  --keep          leave it running until Ctrl-C and tell where the agents are (also: KEEP=1)
  --clean         on a real cluster: delete the topics and groups of this run at the end
  --timeout TIME  how long the agents may take to be ready, and then to be done (default 60s)
  --json          print one JSON object at the end, and nothing else
  --help

Exit codes: 0 everything that was expected came, 1 something did not, 2 called wrongly,
130 interrupted.
`;

export const command: Command = {
  help: HELP,
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
