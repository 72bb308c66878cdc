import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

jest.setTimeout(180_000);

const root = join(import.meta.dirname, '..', '..', '..');
const program = join(root, 'tools', 'cli', 'dist', 'main.js');

// The demo runs what was built: here that is never something old. It takes a moment when nothing
// has changed.
beforeAll(async () => {
  const services = ['historic', 'lastdata', 'mutable', 'errors'].map((name) => `services/${name}`);
  const compiler = join('node_modules', 'typescript', 'bin', 'tsc');
  await promisify(execFile)(process.execPath, [compiler, '-b', 'tools/cli', ...services], { cwd: root });
});

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

interface Summary {
  readonly ok: boolean;
  readonly broker: { readonly kind: string; readonly brokers: string };
  readonly published: number;
  readonly agents: Readonly<Record<string, { readonly http: string; readonly read: number }>>;
  readonly checks: number;
  readonly problems: readonly unknown[];
}

class Demo {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const clean = Object.entries(process.env).filter(([name]) => !name.startsWith('KAFNUS_') && name !== 'KEEP');
    this.child = spawn(process.execPath, [program, 'demo', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...Object.fromEntries(clean), ...env },
    });
    started.push(this.child);
    this.child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
  }

  async end(): Promise<unknown> {
    const [code] = await once(this.child, 'close');
    return code;
  }

  async printed(text: string): Promise<void> {
    while (!this.stdout.includes(text)) {
      if (this.child.exitCode !== null) throw new Error(`it ended without ${text}: ${this.stdout}${this.stderr}`);
      await sleep(50);
    }
  }

  get summary(): Summary {
    return JSON.parse(this.stdout);
  }
}

function addresses({ agents, broker }: Summary): string[] {
  return [...Object.values(agents).map(({ http }) => http), broker.brokers];
}

async function listening(address: string): Promise<boolean> {
  const [host = '', port] = address.split(':');
  return new Promise((resolve) => {
    const socket = connect(Number(port), host);
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

async function allGone(all: readonly string[]): Promise<void> {
  for (const since = Date.now(); Date.now() - since < 20_000; await sleep(100)) {
    const found = await Promise.all(all.map(listening));
    if (!found.includes(true)) return;
  }
  throw new Error(`still listening on one of ${all.join(', ')}`);
}

describe('kafnus demo', () => {
  test('shows the agents at work on its own broker, finds everything as expected and ends', async () => {
    const demo = new Demo(['--json']);
    expect({ code: await demo.end(), stderr: demo.stderr }).toEqual({ code: 0, stderr: '' });
    const { summary } = demo;
    expect(summary).toMatchObject({ ok: true, problems: [], broker: { kind: 'embedded' } });
    expect(summary.checks).toBeGreaterThan(1000);
    expect(Object.entries(summary.agents).map(([name, { read }]) => [name, read])).toEqual([
      ['historic', summary.published],
      // The record without a key is written back to the partition of its entity, and read again.
      ['lastdata', summary.published + 1],
      ['mutable', summary.published + 1],
      ['errors', 7],
    ]);
    await allGone(addresses(summary));
  });

  test('leaves no process behind, also when it is killed', async () => {
    const demo = new Demo(['--json', '--keep']);
    await demo.printed('"problems"');
    const all = addresses(demo.summary);
    expect(await Promise.all(all.map(listening))).toEqual(all.map(() => true));
    demo.child.kill('SIGKILL');
    await allGone(all);
  });

  test('stops in order when it is interrupted half-way', async () => {
    const demo = new Demo([]);
    await demo.printed('✔ agents');
    const broker = /embedded, at (\S+)/.exec(demo.stdout)?.[1] ?? '';
    expect(await listening(broker)).toBe(true);
    demo.child.kill('SIGINT');
    expect({ code: await demo.end(), stderr: demo.stderr }).toEqual({ code: 130, stderr: '' });
    await allGone([broker]);
  });

  test('fails when the cluster that it was given is not there', async () => {
    const demo = new Demo(['--json'], { KAFNUS_KAFKA_BROKERS: '127.0.0.1:1' });
    expect(await demo.end()).toBe(1);
    expect(demo.stdout).toBe('');
    expect(demo.stderr).toContain('No Kafka answers at 127.0.0.1:1');
  });
});
