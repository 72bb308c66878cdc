/** The files of the repository, and which of them a text may mean. */
import { readdirSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** What is installed, built or downloaded. */
const foreign = new Set(['node_modules', 'dist', 'coverage', '.git', '.cache', '.tools']);

/** Every file, by its path from the root. */
export const files: readonly string[] = [...list('')];

/** Every file and folder. */
export const paths: ReadonlySet<string> = new Set(files.flatMap((file) => [file, ...parents(file)]));

const tops = new Set([...paths].filter((path) => !path.includes('/')));
const names = new Set(files.map((file) => posix.basename(file)));

function* list(folder: string): Generator<string> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    if (foreign.has(entry.name)) continue;
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) yield* list(path);
    else yield path;
  }
}

function parents(path: string): string[] {
  const folder = dirname(path);
  return folder === '.' ? [] : [folder, ...parents(folder)];
}

/**
 * The paths in a text that look like some of this repository, and are none: those that begin with a folder of its root, and
 * names of source files. `*` and `<name>` stand for anything.
 * @param page where the text stands: paths in it may begin there as well
 */
export function strayPaths(text: string, page: string): string[] {
  return text
    .split(/[\s'"=(),;]+/)
    .map((word) => word.replace(/^@?(?:\.\/)?/, '').replace(/[.:/]+$/, ''))
    .filter((word) => /^[\w.@*<>{}|-]+(?:\/[\w.@*<>{}|-]+)*$/.test(word) && looksLikePath(word))
    .filter((word) => !exists(sourceOf(word)) && !exists(posix.join(dirname(page), sourceOf(word))));
}

function looksLikePath(word: string): boolean {
  const [top = ''] = word.split('/');
  return word.includes('/') ? tops.has(top) : /^[\w-]+(?:\.test)?\.(?:ts|mjs|md)$/.test(word);
}

/** What is built is not there before it is built. */
const sourceOf = (word: string): string => word.replace(/\/dist\/(.*)\.js$/, '/src/$1.ts').replace(/\/dist$/, '');

function exists(word: string): boolean {
  if (paths.has(word) || (!word.includes('/') && names.has(word))) return true;
  if (!/[*<]/.test(word)) return false;
  const pattern = word.replace(/[.{}|]/g, '\\$&').replace(/<[^>]*>|\*+/g, (wild) => (wild === '**' ? '.*' : '[^/]*'));
  const whole = new RegExp(`^${pattern}$`);
  return [...paths].some((path) => whole.test(path));
}
