import { parseArgs } from 'node:util';
import { startEmbeddedBroker } from './embedded-broker.js';
import { positiveInteger } from './arguments.js';
import { untilStopped } from './until-stopped.js';

const HELP = `Usage: node embedded-broker-main.js [options] [topic ...]

Runs librdkafka's mock Kafka until SIGTERM. Prints one line when it is up: {"bootstrapServers": "host:port,..."}.
The topics named are created; others are when a producer first uses them. Good for a demo, proves nothing about
exactly-once.

  --brokers N  how many brokers (default 1)
  --exit-with-parent      end also when standard input ends
  --help
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    brokers: { type: 'string', default: '1' },
    'exit-with-parent': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(HELP);
} else {
  const broker = await startEmbeddedBroker({
    brokers: positiveInteger('--brokers', values.brokers),
    topics: positionals,
  });
  // Listened for before the line is printed: who reads it may stop this process at once.
  const stopped = untilStopped({ exitWithParent: values['exit-with-parent'] });
  process.stdout.write(`${JSON.stringify({ bootstrapServers: broker.bootstrapServers })}\n`);
  await stopped;
  await broker.stop();
  process.exit(0);
}
