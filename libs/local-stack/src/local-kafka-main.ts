import { parseArgs } from 'node:util';
import { positiveInteger } from './arguments.js';
import { startLocalKafka } from './local-kafka.js';
import { untilStopped } from './until-stopped.js';

const HELP = `Usage: node local-kafka-main.js [options]

Runs a real Apache Kafka (KRaft) on this machine until SIGTERM. Prints one line when it is up:
{"bootstrapServers": "host:port,...", "logs": "folder"}. Its data is deleted at the end.
It ends with 1, and says why, when a broker does not start or ends by itself.
Needs a JDK 17 and, the first time, Maven.

  --brokers 1|3    how many brokers (default 1)
  --port N         port of the first broker, the others take the next ones (default: free ones)
  --partitions N   partitions of a topic created without a number (default 4)
  --heap SIZE      Java heap of each broker (default 512m)
  --full-jit       the whole JIT compiler: slower to start, faster under load
  --set NAME=VALUE a broker setting; may be repeated
  --logs FOLDER    keep the brokers' logs there
  --exit-with-parent          end also when standard input ends
  --help
`;

const { values } = parseArgs({
  options: {
    brokers: { type: 'string', default: '1' },
    port: { type: 'string' },
    partitions: { type: 'string', default: '4' },
    heap: { type: 'string', default: '512m' },
    'full-jit': { type: 'boolean', default: false },
    set: { type: 'string', multiple: true, default: [] },
    logs: { type: 'string' },
    'exit-with-parent': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(HELP);
} else {
  const brokers = positiveInteger('--brokers', values.brokers);
  if (brokers !== 1 && brokers !== 3) throw new Error(`--brokers must be 1 or 3, not ${brokers}`);
  // A signal during the start ends the process, and its end those of the brokers.
  const kafka = await startLocalKafka({
    brokers,
    ...(values.port === undefined ? {} : { port: positiveInteger('--port', values.port) }),
    partitions: positiveInteger('--partitions', values.partitions),
    heap: values.heap,
    fullJit: values['full-jit'],
    properties: Object.fromEntries(values.set.map(setting)),
    ...(values.logs === undefined ? {} : { logs: values.logs }),
  });
  // Listened for before the line is printed: who reads it may stop this process at once.
  const stopped = untilStopped({ exitWithParent: values['exit-with-parent'] });
  process.stdout.write(`${JSON.stringify({ bootstrapServers: kafka.bootstrapServers, logs: kafka.logs })}\n`);
  const failure = await Promise.race([stopped, ...kafka.brokers.map((broker) => broker.ended())]);
  if (failure !== undefined) process.stderr.write(`${failure}\n`);
  await kafka.stop();
  process.exit(failure === undefined ? 0 : 1);
}

function setting(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at <= 0) throw new Error(`--set needs NAME=VALUE, not '${text}'`);
  return [text.slice(0, at), text.slice(at + 1)];
}
