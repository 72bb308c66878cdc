/** `make fuzz`: reads the command line, and runs fuzz.test.ts in Jest, which knows the sources. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const help = `Sends generated records to the four agents, each a process with a heap of 512 MiB on a real Kafka: notifications and
dead letters that are sound, damaged, or a trap (deep nesting, megabytes, odd numbers, names such as __proto__, bytes that
are no UTF-8, null and repeated headers, times before 1970 and after the year 9999). Behind each burst a good record must come
out in each partition; the ledger must add up to what was sent; every refused record must have one dead letter with its
bytes unchanged; /live and /ready must answer all the time; memory must stay below a limit.

  make fuzz                      10 minutes
  make fuzz MINUTES=60           an hour
  make fuzz ARGS="--seed 7"      the same records again

  --minutes N         how long, for all agents together (default 10)
  --seed N            of the generator (default: another one each time; it is printed)
  --agent NAME        historic, lastdata, mutable or errors (default: all, one after the other)
  --delivery NAME     exactly-once or at-least-once (default: both, the first for three quarters of the time)
  --size N            small records in a burst (default 4000)
  --within S          seconds within which a good record must come out behind a burst (default 10)
  --replay FILE       the records of a finding again, instead of generated ones
  --help              this text

What is found is narrowed down to the record by halving, and written to .cache/fuzz. Exit code 0: nothing was found; 1: something;
2: the command line is wrong. It needs Linux, a JDK >= 17 and Maven.
`;

/** @throws Error naming the option */
function number(option, text, least) {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= least) return text;
  throw new Error(`--${option} must be a number of at least ${least}, not '${text}'`);
}

/** @throws Error naming the option */
function oneOf(option, text, allowed) {
  if (text === undefined || allowed.includes(text)) return text;
  throw new Error(`--${option} must be one of ${allowed.join(', ')}, not '${text}'`);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000) + 1) },
      agent: { type: 'string' },
      delivery: { type: 'string' },
      size: { type: 'string', default: '4000' },
      within: { type: 'string', default: '10' },
      replay: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const replay = values.replay === undefined ? undefined : resolve(values.replay);
  if (replay !== undefined && !existsSync(replay)) throw new Error(`--replay ${values.replay}: there is no such file`);
  return {
    minutes: number('minutes', values.minutes, 0),
    seed: number('seed', values.seed, 0),
    agent: oneOf('agent', values.agent, ['historic', 'lastdata', 'mutable', 'errors']),
    delivery: oneOf('delivery', values.delivery, ['exactly-once', 'at-least-once']),
    size: number('size', values.size, 1),
    within: number('within', values.within, 1),
    replay,
  };
}

let options;
try {
  options = readOptions();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(2);
}
if (options === undefined) {
  process.stdout.write(help);
} else {
  const jest = fileURLToPath(new URL('../../node_modules/jest/bin/jest.js', import.meta.url));
  const config = fileURLToPath(new URL('jest.config.js', import.meta.url));
  const flags = ['--experimental-vm-modules', '--no-warnings', jest, '--config', config, '--runInBand', '--forceExit'];
  const child = spawn(process.execPath, flags, {
    stdio: 'inherit',
    // Each blocking call of a Kafka client holds a thread of Node's pool.
    env: { ...process.env, UV_THREADPOOL_SIZE: '32', FUZZ_OPTIONS: JSON.stringify(options) },
  });
  // The terminal interrupts both; whoever stops only this one stops that one as well.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.once('exit', (code) => process.exit(code ?? 1));
}
