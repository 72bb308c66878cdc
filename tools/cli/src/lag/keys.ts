/** Keys that are typed while something is drawn. */
import type { Io } from '../command.js';

interface Terminal {
  readonly isTTY: boolean;
  setRawMode(raw: boolean): unknown;
}

/** Resolves when `q` or Ctrl-C is typed on a terminal; never elsewhere, for a pipe that ends is no wish. */
export function quitKey({ stdin }: Pick<Io, 'stdin'>): { readonly pressed: Promise<void>; readonly stop: () => void } {
  if (!isTerminal(stdin)) return { pressed: new Promise(() => undefined), stop: () => undefined };
  // Key by key; Ctrl-C is a key like others then, and no signal.
  stdin.setRawMode(true);
  const pressed = (async () => {
    for await (const chunk of stdin) if (/[qQ\u0003\u0004]/.test(chunk.toString())) return;
  })();
  return { pressed, stop: () => void stdin.setRawMode(false) };
}

function isTerminal(stdin: Io['stdin']): stdin is Io['stdin'] & Terminal {
  return 'isTTY' in stdin && stdin.isTTY === true && 'setRawMode' in stdin;
}
