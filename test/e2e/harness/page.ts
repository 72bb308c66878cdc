/**
 * Runs the command blocks of a documentation page in one shell, and compares their output with the
 * page.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The ports that the pages use, and the options of `kafnus stack` that change them. */
const documented = [
  { port: 9092, option: '--kafka-port' },
  { port: 5433, option: '--postgis-port' },
  { port: 8083, option: '--connect-port' },
  { port: 9081, option: '--agents-port' },
  { port: 9082 },
  { port: 9083 },
  { port: 9084 },
] as const;

// Differs from the default ports, so that the test can run beside a developer's own stack.
const first = 15_000 + (process.pid % 1000) * 10;

/** Maps a port of the pages to the port of this test. */
export function ownPort(port: (typeof documented)[number]['port']): number {
  return first + documented.findIndex((one) => one.port === port);
}

/** A block of commands and the output that the page shows; "" when it shows none. */
export interface Step {
  readonly commands: string;
  readonly output: string;
}

/**
 * A user's environment. The variables of the `make` that runs the tests are removed, because a
 * `make` in a block would inherit them.
 */
function operatorEnv(): NodeJS.ProcessEnv {
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

/** The blocks of a page, consumed in order. */
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

  /**
   * @param mark a text that the commands must contain @throws Error when the next block is a
   * different one
   */
  next(mark: string): Step {
    const step = this.#steps[this.#taken];
    if (!step?.commands.includes(mark))
      throw new Error(`the next block should hold ${mark}: ${step?.commands ?? 'none'}`);
    this.#taken += 1;
    return step;
  }

  /** The blocks that were not consumed. */
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
 * Returns the lines of the page that the output lacks, or has less often. Rows of a table may be in
 * a different order. Numbers, times and replay names differ from run to run.
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

/** The operator's terminal: exports and functions of one block are available to the next. */
export class Terminal {
  readonly #shell: ChildProcess;
  #output = '';

  constructor() {
    this.#shell = spawn('sh', [], { cwd: root, stdio: ['pipe', 'pipe', 'inherit'], env: operatorEnv() });
    this.#shell.stdout?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
  }

  /** @returns the output of the block, and the exit code of its last command */
  async type({ commands }: Step): Promise<{ readonly said: string; readonly code: number }> {
    const from = this.#output.length;
    // A command must not read the rest of the shell's standard input.
    this.#shell.stdin?.write(`{\n${withOwnPorts(commands)}} </dev/null 2>&1\necho "<ended with $?>"\n`);
    for (;;) {
      const [, said = '', code] = /^(.*)<ended with (\d+)>\n/s.exec(this.#output.slice(from)) ?? [];
      if (code !== undefined) return { said, code: Number(code) };
      if (this.#shell.exitCode !== null) throw new Error(`the shell has ended:\n${this.#output}`);
      await sleep(20);
    }
  }

  /**
   * Repeats the block until it prints the page's output: rows take some seconds. @returns the last
   * output
   */
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

/** A block that runs in a second terminal until Ctrl-C. */
export class RunningBlock {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown[]>;
  #output = '';

  /** @param before a block that runs first in the same terminal, for its exports */
  constructor({ commands }: Step, before?: Step) {
    const exports = (before?.commands ?? '').split('\n').filter((line) => line.startsWith('export '));
    // As in an interactive shell, SIGINT ends the command and not the shell.
    const script = ['trap : INT', withOwnPorts(exports.join('\n')), commandOf(commands)].join('\n');
    // Signals go to the whole process group, as from a terminal.
    this.#child = spawn('sh', ['-c', script], {
      cwd: root,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: operatorEnv(),
      detached: true,
    });
    this.#ended = once(this.#child, 'close');
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
  }

  /** Waits until the output matches. */
  async says(text: string): Promise<void> {
    await this.#until(text, () => Promise.resolve(this.#output.includes(text)));
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
        throw new Error(`waited for ${what}, but:\n${this.#output}`);
    }
  }

  /** Waits until it ends by itself. @returns the output and the exit code */
  async end(): Promise<{ readonly said: string; readonly code: unknown }> {
    const [code] = await this.#ended;
    return { said: this.#output, code };
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

/**
 * Replaces the ports by those of this test, and `make` targets by their commands without the build
 * and setup, which are done already.
 */
function commandOf(commands: string): string {
  if (!commands.startsWith('make ')) return withOwnPorts(commands);
  const recipe = execFileSync('sh', ['-c', `${commands.trim()} --dry-run`], {
    cwd: root,
    encoding: 'utf8',
    env: operatorEnv(),
  });
  const command = recipe.trimEnd().split('\n').at(-1) ?? '';
  if (!commands.startsWith('make stack')) return command;
  const options = documented.flatMap((one) => ('option' in one ? [`${one.option}=${ownPort(one.port)}`] : []));
  return `${command} ${options.join(' ')}`;
}
