/** Runs Prometheus and promtool from Debian's package, as unpacked by `make setup-prometheus`. */
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { withKafka, type Describe } from '@kafnus/agent-testkit';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const startDeadlineMs = 30_000;

/** The rules of deploy/alerts. */
export const rulesFile = join(root, 'deploy/alerts/kafnus.rules.yaml');
/** The unit tests of the rules, for promtool. */
export const ruleTests = join(root, 'deploy/alerts/tests');

/**
 * The path of a program: on the PATH, otherwise unpacked in .cache. @returns undefined when it is
 * missing
 */
function program(name: 'prometheus' | 'promtool'): string | undefined {
  const unpacked = join(root, '.cache/prometheus/usr/bin', name);
  return [name, unpacked].find((path) => spawnSync(path, ['--version']).status === 0);
}

function needed(name: 'prometheus' | 'promtool'): string {
  const path = program(name);
  if (path === undefined) throw new Error(`${name} is missing: make setup-prometheus`);
  return path;
}

/**
 * A `describe` that is skipped with a reason when Prometheus is missing; under CI=true it runs and
 * fails.
 */
export function withPrometheus(describe: Describe): (name: string, suite: () => void) => void {
  if (process.env['CI'] === 'true' || program('prometheus') !== undefined) return describe;
  return (name, suite) => describe.skip(`${name} [skipped: no Prometheus, make setup-prometheus]`, suite);
}

/** The same for suites that also need a real Kafka. */
export function withKafkaAndPrometheus(describe: Describe): (name: string, suite: () => void) => void {
  const inner = withPrometheus(describe);
  return inner === describe ? withKafka(describe) : inner;
}

/** Runs promtool. @returns its exit code and its output */
export function promtool(...args: string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(needed('promtool'), args, { encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

/** One series of a query result: its labels, and its value as text (which may be `NaN`). */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

/** A rule as loaded by Prometheus. */
export interface Rule {
  readonly name: string;
  readonly query: string;
  readonly type: 'alerting' | 'recording';
  readonly health: 'ok' | 'unknown' | 'err';
  readonly lastError?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A scrape target: its address, and the labels of service discovery. */
export interface Target {
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Prometheus {
  /**
   * The result of an instant query. @throws Error with the message of Prometheus when the query is
   * invalid
   */
  query(expr: string): Promise<readonly Sample[]>;
  /** The labels of every series with samples in the last five minutes. @param match a selector */
  series(match: string): Promise<readonly Readonly<Record<string, string>>[]>;
  rules(): Promise<readonly Rule[]>;
  stop(): Promise<void>;
}

/**
 * Descriptor 3 closes when this process ends, however it ends. Standard input cannot be used: a
 * shell gives its background jobs none.
 */
const exitWithParent = `
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _ <&3; kill $server; } 2>/dev/null &
wait $server
`;

/**
 * Starts Prometheus with the rules of deploy/alerts. It scrapes and evaluates every second. Its
 * data is deleted at the end.
 */
export async function startPrometheus(targets: readonly Target[]): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'kafnus-prometheus-'));
  const config = join(folder, 'prometheus.yml');
  writeFileSync(
    config,
    // JSON is YAML.
    JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [rulesFile],
      scrape_configs: [
        {
          job_name: 'kafnus',
          static_configs: targets.map(({ address, labels }) => ({ targets: [address], labels })),
        },
      ],
    }),
  );
  const options = [`--config.file=${config}`, `--storage.tsdb.path=${join(folder, 'data')}`];
  const args = [
    '-c',
    exitWithParent,
    'exit-with-parent',
    needed('prometheus'),
    ...options,
    '--web.listen-address=127.0.0.1:0',
  ];
  const child = spawn('/bin/sh', args, { stdio: ['pipe', 'ignore', 'pipe'], cwd: folder });
  child.stdin.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const log: string[] = [];
  const address = new Promise<string>((resolve) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (log.length < 200) log.push(line);
      const found = /Listening on".* address=(\S+)/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
  });
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };

  const deadline = Date.now() + startDeadlineMs;
  const base = await Promise.race([address, ended, sleep(startDeadlineMs, undefined, { ref: false })]);
  while (base !== undefined && Date.now() < deadline && !(await isReady(base))) await sleep(50);
  if (base === undefined || Date.now() >= deadline) {
    await stop();
    throw new Error(`Prometheus did not start:\n${log.slice(-20).join('\n')}`);
  }
  const ask = async (path: string, parameters: Readonly<Record<string, string>> = {}): Promise<unknown> => {
    const response = await fetch(`http://${base}/api/v1/${path}?${String(new URLSearchParams(parameters))}`, {
      signal: AbortSignal.timeout(10_000),
    });
    const answer = (await response.json()) as { readonly data?: unknown; readonly error?: string };
    if (!response.ok) throw new Error(`Prometheus: ${answer.error}: ${JSON.stringify(parameters)}`);
    return answer.data;
  };
  return {
    async query(expr) {
      return ((await ask('query', { query: expr })) as { readonly result: readonly Sample[] }).result;
    },
    async series(match) {
      const start = String(Date.now() / 1000 - 300);
      return (await ask('series', { 'match[]': match, start })) as readonly Readonly<Record<string, string>>[];
    },
    async rules() {
      const { groups } = (await ask('rules')) as { readonly groups: readonly { readonly rules: readonly Rule[] }[] };
      return groups.flatMap(({ rules }) => rules);
    },
    stop,
  };
}

/** Prometheus listens before it has loaded its rules. */
async function isReady(base: string): Promise<boolean> {
  const response = await fetch(`http://${base}/-/ready`, { signal: AbortSignal.timeout(5000) }).catch(() => undefined);
  return response?.ok === true;
}
