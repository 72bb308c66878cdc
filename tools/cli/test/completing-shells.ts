/**
 * The three shells at work with a completion script: each line is typed, and the tab key pressed.
 */
import { describe } from '@jest/globals';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Shell } from '../src/completion/scripts.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const run = promisify(execFile);
/** A shell that waits for an answer must not hang the tests. */
const options = { cwd: root, timeout: 30_000, killSignal: 'SIGKILL' as const };

/** A line, and its last word after the tab key: as it was when there is nothing to complete. */
type Completed = readonly [line: string, word: string];

/**
 * A `describe` that is skipped, and says why, where there is no such shell; under CI=true it runs
 * and fails.
 */
export function withShell(shell: Shell): (name: string, suite: () => void) => void {
  const isThere = (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, shell)));
  if (isThere || process.env['CI'] === 'true') return describe;
  return (name, suite) =>
    describe.skip(`${name} [skipped: there is no ${shell}, make setup-shells installs it]`, suite);
}

/** Of each shell: what becomes of lines with this script. */
export const completed: Readonly<Record<Shell, (script: string, lines: readonly string[]) => Promise<Completed[]>>> = {
  bash: (script, lines) => inBash(script, lines),
  zsh: (script, lines) => zshWith({}, script, lines),
  fish: (script, lines) => inFish(script, lines),
};

function lastWord(line: string): string {
  return line.trimEnd().split(' ').at(-1) ?? '';
}

/** The function that the tab key calls; what it leaves open, the shell does with files. */
async function inBash(script: string, lines: readonly string[]): Promise<Completed[]> {
  const complete = `${script}
    for line; do
      read -ra COMP_WORDS <<<"$line"; COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); COMPREPLY=()
      _kafnus
      ((\${#COMPREPLY[@]})) || COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
      echo "\${COMPREPLY[*]:-\${COMP_WORDS[COMP_CWORD]}}"
    done`;
  const { stdout } = await run('bash', ['--norc', '-c', complete, 'bash', ...lines], options);
  return paired(lines, stdout);
}

async function inFish(script: string, lines: readonly string[]): Promise<Completed[]> {
  const complete = `${script}
    for line in $argv
      set -l words (string split ' ' -- $line)
      set -l found (complete -C $line | string replace -r '\\t.*' '')
      test -n "$found"; and echo $found; or echo $words[-1]
    end`;
  const { stdout } = await run('fish', ['--no-config', '-c', complete, ...lines], options);
  return paired(lines, stdout);
}

/**
 * A zsh on a terminal of its own, with compinit and the keys of a user: it has no other way to
 * complete a line.
 * @param functions files of a folder in its fpath @param script is sourced behind compinit
 */
export async function zshWith(
  functions: Readonly<Record<string, string>>,
  script: string,
  lines: readonly string[],
): Promise<Completed[]> {
  const folder = mkdtempSync(join(tmpdir(), 'kafnus-zsh-'));
  try {
    for (const [name, text] of Object.entries(functions)) writeFileSync(join(folder, name), text);
    writeFileSync(join(folder, 'script'), script);
    // The key ^X ends a line: what stands there then goes into the pipe.
    writeFileSync(
      join(folder, 'setup'),
      `fpath=(${folder} $fpath)
      autoload -Uz compinit && compinit -u -D
      setopt no_auto_list no_beep
      source ${folder}/script
      answer() { print -r -- "$BUFFER" >${folder}/answers; BUFFER= }
      zle -N answer && bindkey '^X' answer
      print ready >${folder}/answers
      `,
    );
    const drive = `
      zmodload zsh/zpty
      mkfifo ${folder}/answers && exec 3<>${folder}/answers
      zpty terminal zsh -f -i
      zpty -w terminal 'source ${folder}/setup'
      read -r -u 3 answer
      for line; do
        zpty -w -n terminal "$line"$'\\t\\x18'
        read -r -u 3 answer && print -r -- "$answer"
      done
      zpty -d terminal`;
    const { stdout } = await run('zsh', ['-f', '-c', drive, 'zsh', ...lines], options);
    return paired(lines, stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function paired(lines: readonly string[], stdout: string): Completed[] {
  const said = stdout.split('\n');
  return lines.map((line, index) => [line, lastWord(said[index] ?? 'nothing')]);
}
