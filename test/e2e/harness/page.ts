/** A page of the documentation, typed as it stands there: its command blocks, in a shell that lives on between them. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The ports that the pages name, and the options of `kafnus stack` that change them. */
const documented = [
  { port: 9092, option: '--kafka-port' },
  { port: 5433, option: '--postgis-port' },
  { port: 8083, option: '--connect-port' },
  { port: 9081, option: '--agents-port' },
  { port: 9082 },
  { port: 9083 },
  { port: 9084 },
] as const;

// Not those that a user's own stack has.
const first = 15_000 + (process.pid % 1000) * 10;

/** The port of this test for one that the pages name. */
export function ownPort(port: (typeof documented)[number]['port']): number {
  return first + documented.findIndex((one) => one.port === port);
}

/** A block of commands, and what the page shows as their output: "" where it shows none. */
export interface Step {
  readonly commands: string;
  readonly output: string;
}

/** Of somebody who types: a `make` that runs the tests hands its own variables down, and to a `make` in a block too. */
function typistsEnv(): NodeJS.ProcessEnv {
  const {
    MAKEFLAGS: _flags,
    MFLAGS: _old,
    MAKEOVERRIDES: _overrides,
    MAKELEVEL: _level,
    ARGS: _,
    ...env
  } = process.env;
  return env;
}

/** The blocks of a page, taken one after the other. */
export class Page {
  readonly #steps: readonly Step[];
  #taken = 0;

  /** @param name of the file in docs/ */
  constructor(name: string) {
    const text = readFileSync(`${root}docs/${name}`, 'utf8');
    const steps: Step[] = [];
    for (const [, language, block = ''] of text.matchAll(/^```(\w+)\n(.*?)^```$/gms)) {
      const last = steps.at(-1);
      if (language === 'sh') steps.push({ commands: block, output: '' });
      else if (language === 'text' && last !== undefined) steps[steps.length - 1] = { ...last, output: block };
    }
    this.#steps = steps;
  }

  /** @param mark something that its commands hold @throws Error when the page goes on otherwise */
  next(mark: string): Step {
    const step = this.#steps[this.#taken];
    if (!step?.commands.includes(mark))
      throw new Error(`the next block should hold ${mark}: ${step?.commands ?? 'none'}`);
    this.#taken += 1;
    return step;
  }

  /** Blocks that were not taken. */
  get rest(): readonly Step[] {
    return this.#steps.slice(this.#taken);
  }
}

function withOwnPorts(commands: string): string {
  return documented.reduce(
    (text, { port }) => text.replaceAll(new RegExp(`\\b${port}\\b`, 'g'), `${ownPort(port)}`),
    commands,
  );
}

/**
 * Lines of the page that the output does not have, or not as often: a table may show one of its rows first. Numbers, times and
 * names of replays differ from run to run.
 */
export function missingLines({ output }: Step, said: string): string[] {
  const shape = (line: string): string =>
    line
      .trim()
      .replace(/\(replay \w+\)/, '(replay #)')
      .replace(/-?\d[\d.,:+-]*/g, '#')
      .replace(/-{2,}/g, '--')
      .replace(/\s+/g, ' ');
  const left = new Map<string, number>();
  for (const line of said.split('\n')) left.set(shape(line), (left.get(shape(line)) ?? 0) + 1);
  return output.split('\n').filter((line) => {
    const count = left.get(shape(line)) ?? 0;
    left.set(shape(line), count - 1);
    return line.trim() !== '' && count <= 0;
  });
}

/** The operator's terminal: what one block exports and defines is there for the next. */
export class Terminal {
  readonly #shell: ChildProcess;
  #said = '';

  constructor() {
    this.#shell = spawn('sh', [], { cwd: root, stdio: ['pipe', 'pipe', 'inherit'], env: typistsEnv() });
    this.#shell.stdout?.on('data', (chunk: Buffer) => (this.#said += chunk.toString()));
  }

  /** @returns what the block printed, and the exit code of its last command */
  async type({ commands }: Step): Promise<{ readonly said: string; readonly code: number }> {
    const from = this.#said.length;
    // The end of the shell's own input must not be read by a command.
    this.#shell.stdin?.write(`{\n${withOwnPorts(commands)}} </dev/null 2>&1\necho "<ended with $?>"\n`);
    for (;;) {
      const [, said = '', code] = /^(.*)<ended with (\d+)>\n/s.exec(this.#said.slice(from)) ?? [];
      if (code !== undefined) return { said, code: Number(code) };
      if (this.#shell.exitCode !== null) throw new Error(`the shell has ended:\n${this.#said}`);
      await sleep(20);
    }
  }

  /** Types it again until the page's output comes: rows take some seconds. @returns what it printed then */
  async typeUntilShown(step: Step): Promise<string> {
    for (const since = Date.now(); ; await sleep(500)) {
      const { said } = await this.type(step);
      const missing = missingLines(step, said);
      if (missing.length === 0) return said;
      if (Date.now() - since > 60_000) throw new Error(`not shown: ${missing.join('\n')}\nbut:\n${said}`);
    }
  }

  close(): void {
    this.#shell.kill('SIGKILL');
  }
}

/** A block that runs until Ctrl-C, in a terminal of its own. */
export class RunningBlock {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown[]>;
  #said = '';

  /** @param before a block that was typed in the same terminal; what it exports is still there */
  constructor({ commands }: Step, before?: Step) {
    const exports = (before?.commands ?? '').split('\n').filter((line) => line.startsWith('export '));
    // An interactive shell survives Ctrl-C, and its command decides how it ends.
    const script = ['trap : INT', withOwnPorts(exports.join('\n')), commandOf(commands)].join('\n');
    // A group of its own gets the signals, as that of a terminal does.
    this.#child = spawn('sh', ['-c', script], {
      cwd: root,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: typistsEnv(),
      detached: true,
    });
    this.#ended = once(this.#child, 'close');
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.#said += chunk.toString()));
  }

  /** Waits until it has said something. */
  async says(text: string): Promise<void> {
    await this.#until(text, () => Promise.resolve(this.#said.includes(text)));
  }

  /** Waits until the agent behind this port is ready. */
  async ready(port: number): Promise<void> {
    await this.#until('readiness', () =>
      fetch(`http://127.0.0.1:${port}/ready`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
  }

  async #until(what: string, isThere: () => Promise<boolean>): Promise<void> {
    for (const since = Date.now(); !(await isThere()); await sleep(100)) {
      if (Date.now() - since > 120_000 || this.#child.exitCode !== null)
        throw new Error(`waited for ${what}, but:\n${this.#said}`);
    }
  }

  /** Waits until it ends by itself. @returns what it has said, and the exit code */
  async end(): Promise<{ readonly said: string; readonly code: unknown }> {
    const [code] = await this.#ended;
    return { said: this.#said, code };
  }

  /** Ctrl-C. @returns the exit code */
  async interrupt(): Promise<unknown> {
    this.#signal('SIGINT');
    const [code] = await this.#ended;
    return code;
  }

  kill(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#signal('SIGKILL');
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child.pid !== undefined) process.kill(-this.#child.pid, signal);
  }
}

/** With the ports of this test; `make` without what it builds and installs first, which has been done. */
function commandOf(commands: string): string {
  if (!commands.startsWith('make ')) return withOwnPorts(commands);
  const recipe = execFileSync('sh', ['-c', `${commands.trim()} --dry-run`], {
    cwd: root,
    encoding: 'utf8',
    env: typistsEnv(),
  });
  const command = recipe.trimEnd().split('\n').at(-1) ?? '';
  if (!commands.startsWith('make stack')) return command;
  const options = documented.flatMap((one) => ('option' in one ? [`${one.option}=${ownPort(one.port)}`] : []));
  return `${command} ${options.join(' ')}`;
}
