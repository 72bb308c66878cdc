/** Keyboard input of `kafnus top`. */
import type { Io } from '../command.js';

interface Terminal {
  readonly isTTY: boolean;
  setRawMode(raw: boolean): unknown;
}

/**
 * Resolves when `q` or Ctrl-C is typed on a terminal. Never resolves when standard input is no
 * terminal.
 */
export function quitKey({ stdin }: Pick<Io, 'stdin'>): { readonly pressed: Promise<void>; readonly stop: () => void } {
  if (!isTerminal(stdin)) return { pressed: new Promise(() => undefined), stop: () => undefined };
  // In raw mode each key arrives at once, and Ctrl-C is a key instead of a signal.
  stdin.setRawMode(true);
  const pressed = (async () => {
    for await (const chunk of stdin) if (/[qQ\u0003\u0004]/.test(chunk.toString())) return;
  })();
  return { pressed, stop: () => void stdin.setRawMode(false) };
}

function isTerminal(stdin: Io['stdin']): stdin is Io['stdin'] & Terminal {
  return 'isTTY' in stdin && stdin.isTTY === true && 'setRawMode' in stdin;
}
