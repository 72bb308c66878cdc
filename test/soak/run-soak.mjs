/** `make soak`: parses the command line and runs soak.test.ts in Jest. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const help = `Runs the four agents under load on a real cluster of three brokers, and injects random faults: agents are
killed, stopped, suspended, started; brokers are killed and restarted; connections stall, break and are refused; early on,
the whole cluster is unreachable for a fifth of the time, at most three minutes. One record in ten is malformed. One process of each
agent runs all the time: its memory is measured.

  make soak                   10 minutes
  make soak MINUTES=60        an hour
  make soak ARGS="--seed 7"   the same random choices

  --minutes N   duration of load and faults (default 10)
  --rate N      notifications a second, for each of historic, lastdata and mutable (default 120)
  --seed N      of load and faults (default: random; it is printed)
  --json        results as JSON on standard output, progress on standard error
  --help        this text

At the end no record may be lost, duplicated, out of order or unaccounted for, and memory must be flat: the median of the last
third at most a tenth (and 8 MB) above that of the second. Of a run of less than 5 minutes, which is still warming up,
memory is shown and not compared. Exit code 0: all checks passed; 1: a check failed.
It needs Linux or macOS, a JDK >= 17 and Maven. An hour takes 1 GB of disk and memory each.
`;

/** @throws Error naming the option */
function positive(option, text) {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return String(number);
  throw new Error(`--${option} must be a number greater than 0, not '${text}'`);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      rate: { type: 'string', default: '120' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000) + 1) },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    SOAK_MINUTES: positive('minutes', values.minutes),
    SOAK_RATE: positive('rate', values.rate),
    SOAK_SEED: positive('seed', values.seed),
    SOAK_JSON: String(values.json),
  };
}

let options;
try {
  options = readOptions();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
if (options === undefined) {
  process.stdout.write(help);
} else {
  const jest = fileURLToPath(new URL('../../node_modules/jest/bin/jest.js', import.meta.url));
  const config = fileURLToPath(new URL('jest.config.js', import.meta.url));
  const flags = ['--experimental-vm-modules', '--no-warnings', jest, '--config', config, '--runInBand'];
  const child = spawn(process.execPath, flags, {
    stdio: 'inherit',
    // Each blocking call of a Kafka client occupies a thread of libuv's pool.
    env: { ...process.env, UV_THREADPOOL_SIZE: '32', ...options },
  });
  // Ctrl-C reaches both processes. A SIGTERM to this process is forwarded.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.once('exit', (code) => process.exit(code ?? 1));
}
