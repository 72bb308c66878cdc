/** The files of the repository, and the paths that a text mentions. */
import { readdirSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** Folders with installed, built or downloaded files. */
const foreign = new Set(['node_modules', 'dist', 'coverage', '.git', '.cache', '.tools']);

/** Every file, as a path relative to the root. */
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
 * Returns the paths in a text that do not exist in this repository. A word is a path when it starts
 * with a folder of the root, or is the name of a source file. `*` and `<name>` stand for anything.
 * @param page the page that contains the text: paths may be relative to it
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

/** Build output may be absent: its source is checked instead. */
const sourceOf = (word: string): string => word.replace(/\/dist\/(.*)\.js$/, '/src/$1.ts').replace(/\/dist$/, '');

function exists(word: string): boolean {
  if (paths.has(word) || (!word.includes('/') && names.has(word))) return true;
  if (!/[*<]/.test(word)) return false;
  const pattern = word.replace(/[.{}|]/g, '\\$&').replace(/<[^>]*>|\*+/g, (wild) => (wild === '**' ? '.*' : '[^/]*'));
  const whole = new RegExp(`^${pattern}$`);
  return [...paths].some((path) => whole.test(path));
}
