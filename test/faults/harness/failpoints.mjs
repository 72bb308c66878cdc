/**
 * Failpoints for an unmodified agent: a preload (`node --import failpoints.mjs main.js`) that wraps
 * the calls of the Kafka client. FAULT lists them, separated by commas, as `name:number`; the list
 * below gives the meaning of the number. A failpoint that fires writes `failpoint <name>` to
 * standard error, which tests check.
 *
 *     kill-after-produce:n   kill -9 after the n-th record is put into the producer's queue
 *     kill-after-offsets:n   the n-th sendOffsetsToTransaction was answered, nothing is committed
 *     kill-in-commit:n       the n-th commitTransaction was called and is not answered
 *     kill-after-commit:n    the n-th commitTransaction was answered, unseen by the agent
 *     kill-before-commit:n   at-least-once: the n-th batch is acknowledged, not committed
 *     lose-commits:n         at-least-once: each offset commit loses its first n attempts
 *     kill-in-restore:n      n records of changelogs are in the store
 *     stop-after-produce:n   SIGSTOP after the n-th record: a zombie with an open transaction
 *     stop-after-offsets:n   the same after the offsets were added to the transaction
 *     stop-in-offsets:n      the same during the n-th sendOffsetsToTransaction and its flush
 *     abort-one-in:n         one commit in n, at random (FAULT_SEED), requires an abort
 *     slow-step:n            the main thread is blocked for n ms after the 100th record
 *     hang-in-offsets:n      the n-th sendOffsetsToTransaction never returns, and holds a thread
 *     hang-in-init:n         the same with the n-th initTransactions; the first is at startup
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, open, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PartitionStore } from '../../../libs/agent-runtime/dist/state/partition-store.js';

const admin = new URL('../../../libs/kafka-admin/package.json', import.meta.url);
const { RdKafka } = createRequire(admin)('@confluentinc/kafka-javascript');
const producer = RdKafka.Producer.prototype;
const consumer = RdKafka.KafkaConsumer.prototype;

/** The record at which `slow-step` fires. */
const slowAt = 100;
/**
 * Milliseconds between the call of commitTransaction and `kill-in-commit`: the request was sent,
 * and the response may or may not have arrived.
 */
const midCommitMs = 2;

function fired(name) {
  writeSync(2, `failpoint ${name}\n`);
}

/** Blocks this thread. */
function block(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

function die(name) {
  fired(name);
  process.kill(process.pid, 'SIGKILL');
  // The signal arrives asynchronously.
  block(Infinity);
}

function freeze(name) {
  fired(name);
  process.kill(process.pid, 'SIGSTOP');
  block(100);
}

/** Replaces a method; `wrap` gets the original, bound, and the arguments. */
function around(prototype, method, wrap) {
  const original = prototype[method];
  prototype[method] = function (...args) {
    return wrap.call(this, original.bind(this), args);
  };
}

/**
 * Wraps the callback of a call (its last argument): `then` runs before it when there was no error.
 */
function answered(args, then) {
  const done = args.at(-1);
  return [
    ...args.slice(0, -1),
    (error, ...rest) => {
      if (!error) then(...rest);
      done(error, ...rest);
    },
  ];
}

/** True at the n-th call. */
function nth(n) {
  let calls = 0;
  return () => ++calls === n;
}

/** Random numbers from 0 to 1 that repeat with their seed (mulberry32). */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function hang(name, n, method) {
  const due = nth(n);
  around(producer, method, (original, args) => {
    if (!due()) return original(...args);
    fired(name);
    // Opening a pipe without a writer blocks forever.
    const pipe = join(mkdtempSync(join(tmpdir(), 'kafnus-hang-')), 'pipe');
    execFileSync('mkfifo', [pipe]);
    open(pipe, 'r', () => undefined);
  });
}

const failpoints = {
  'kill-after-produce'(name, n) {
    const due = nth(n);
    around(producer, 'produce', (original, args) => {
      const result = original(...args);
      if (due()) die(name);
      return result;
    });
  },
  'kill-after-offsets'(name, n) {
    const due = nth(n);
    around(producer, 'sendOffsetsToTransaction', (original, args) =>
      original(...answered(args, () => due() && die(name))),
    );
  },
  'kill-in-commit'(name, n) {
    const due = nth(n);
    around(producer, 'commitTransaction', (original, args) => {
      if (!due()) return original(...args);
      setTimeout(() => die(name), midCommitMs);
      // The callback is dropped, because it would let the agent continue.
      return original(...args.slice(0, -1), () => undefined);
    });
  },
  'kill-after-commit'(name, n) {
    const due = nth(n);
    around(producer, 'commitTransaction', (original, args) => original(...answered(args, () => due() && die(name))));
  },
  'kill-before-commit'(name, n) {
    const due = nth(n);
    around(consumer, 'commitCb', (original, args) => (due() ? die(name) : original(...args)));
  },
  'lose-commits'(name, n) {
    const attempts = new Map();
    around(consumer, 'commitCb', (original, args) => {
      const [positions, done] = args;
      const commit = JSON.stringify(positions);
      attempts.set(commit, (attempts.get(commit) ?? 0) + 1);
      if (attempts.get(commit) > n) return original(...args);
      if (attempts.size === 1) fired(name);
      // The client reports success as soon as the request is queued.
      setImmediate(done, null);
    });
  },
  'kill-in-restore'(name, n) {
    const due = nth(n);
    around(PartitionStore.prototype, 'restore', (original, args) => {
      original(...args);
      if (due()) die(name);
    });
  },
  'stop-after-produce'(name, n) {
    const due = nth(n);
    around(producer, 'produce', (original, args) => {
      const result = original(...args);
      if (due()) freeze(name);
      return result;
    });
  },
  'stop-in-offsets'(name, n) {
    const due = nth(n);
    let unacknowledged = false;
    around(producer, 'flush', (original, args) => {
      const done = args.at(-1);
      original(...args.slice(0, -1), (error) => {
        if (unacknowledged) setTimeout(done, 100, new Error('failpoint: not flushed'));
        else done(error);
      });
    });
    around(producer, 'sendOffsetsToTransaction', (original, args) => {
      original(...args);
      if (!due()) return;
      // The concurrent flush fails after the process has resumed and its timeouts have expired.
      unacknowledged = true;
      setTimeout(() => (unacknowledged = false), 1000);
      freeze(name);
    });
  },
  'stop-after-offsets'(name, n) {
    const due = nth(n);
    around(producer, 'sendOffsetsToTransaction', (original, args) =>
      original(...answered(args, () => due() && freeze(name))),
    );
  },
  'abort-one-in'(name, n) {
    const next = random(Number(process.env.FAULT_SEED ?? 1));
    around(producer, 'commitTransaction', (original, args) => {
      if (next() >= 1 / n) return original(...args);
      fired(name);
      const error = Object.assign(new Error('failpoint: this transaction must be aborted'), {
        code: RdKafka.CODES.ERRORS.ERR_INVALID_TXN_STATE,
        isFatal: false,
        isRetriable: false,
        isTxnRequiresAbort: true,
      });
      setImmediate(args.at(-1), error);
    });
  },
  'slow-step'(name, milliseconds) {
    const due = nth(slowAt);
    around(producer, 'produce', (original, args) => {
      if (due()) {
        fired(name);
        block(milliseconds);
      }
      return original(...args);
    });
  },
  'hang-in-offsets'(name, n) {
    hang(name, n, 'sendOffsetsToTransaction');
  },
  'hang-in-init'(name, n) {
    hang(name, n, 'initTransactions');
  },
};

for (const given of (process.env.FAULT ?? '').split(',').filter(Boolean)) {
  const [name, number] = given.split(':');
  if (!Object.hasOwn(failpoints, name) || !(Number(number) > 0))
    throw new Error(`FAULT: there is no failpoint '${given}'`);
  failpoints[name](name, Number(number));
}
