/** Runs `topics` as a process and parses its output. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

interface Printed {
  /** Active members by consumer group. */
  readonly members: Readonly<Record<string, number>>;
  readonly topics: readonly { readonly name: string; readonly found: { readonly state: string } }[];
  readonly outputs: readonly { readonly name: string; readonly agent: string }[];
  readonly steps: readonly { readonly topic: string; readonly did: string; readonly detail: string }[];
  readonly findings: readonly {
    readonly level: string;
    readonly code: string;
    readonly topic: string;
    readonly message: string;
  }[];
}

/** The output and the exit code. The lists are empty when standard output is not JSON. */
export interface TopicsRun extends Printed {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The findings as `level code topic`. */
  readonly brief: readonly string[];
}

type Env = Readonly<Record<string, string>>;

/** Runs `kafnus topics ... --json`; without `--json` when `--text` is given. */
export function kafnusTopics(env: Env, ...args: string[]): Promise<TopicsRun> {
  return topics(join(root, 'tools', 'cli', 'dist', 'main.js'), env, args);
}

/** Runs the subcommand `topics` of an agent. */
export function agentTopics(agent: string, env: Env, ...args: string[]): Promise<TopicsRun> {
  return topics(join(root, 'services', agent, 'dist', 'main.js'), env, args);
}

async function topics(script: string, env: Env, args: readonly string[]): Promise<TopicsRun> {
  const json = args.includes('--text') ? [] : ['--json'];
  const words = ['topics', ...args.filter((word) => word !== '--text'), ...json];
  const child = spawn(process.execPath, [script, ...words], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk: Buffer) => (stderr += String(chunk)));
  const [code] = (await once(child, 'close')) as [number | null];
  const printed: Printed =
    json.length > 0 && stdout !== ''
      ? (JSON.parse(stdout) as Printed)
      : { members: {}, topics: [], outputs: [], steps: [], findings: [] };
  const brief = printed.findings.map((finding) => `${finding.level} ${finding.code} ${finding.topic}`);
  return { ...printed, code, stdout, stderr, brief };
}
