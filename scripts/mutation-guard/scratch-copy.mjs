/**
 * A copy of the working tree for mutations: tracked and new files, with uncommitted changes.
 *
 * It lies outside of the repository: Jest and editors watch what is inside, and would meet every
 * package twice. Installed packages are not copied. The root's node_modules is a link to the
 * original; each package's own node_modules holds nothing but relative links, copied as they are,
 * so that those to third parties lead through the root's link and those to packages of this
 * repository lead to the copy:
 *
 *     copy/node_modules                        -> repository/node_modules
 *     copy/libs/NAME/node_modules/pino         -> ../../../node_modules/.pnpm/ (the repository's)
 *     copy/libs/NAME/node_modules/@kafnus/...  -> ../../../agent-runtime (the copy's)
 *
 * The last line is checked: a test that ran the original would pass under every mutation.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, sep } from 'node:path';

/** The guard cannot tell anything: it is out of date, or something that it needs is missing. */
export class GuardError extends Error {}

export class ScratchCopy {
  /** @param {string} repository the root of the working tree */
  constructor(repository) {
    this.root = join(realpathSync(mkdtempSync(join(tmpdir(), 'kafnus-guard-'))), 'tree');
    try {
      this.#fill(repository);
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  #fill(repository) {
    const files = trackedFiles(repository);
    for (const file of files) cpSync(join(repository, file), join(this.root, file), { verbatimSymlinks: true });
    symlinkSync(join(repository, 'node_modules'), join(this.root, 'node_modules'));
    for (const folder of files.filter((file) => file.endsWith('/package.json')).map(dirname)) {
      const modules = join(folder, 'node_modules');
      if (!existsSync(join(repository, modules))) continue;
      cpSync(join(repository, modules), join(this.root, modules), { recursive: true, verbatimSymlinks: true });
      this.#checkLinks(join(this.root, modules, '@kafnus'));
    }
  }

  #checkLinks(scope) {
    for (const name of existsSync(scope) ? readdirSync(scope) : []) {
      const target = realpathSync(join(scope, name));
      if (!target.startsWith(this.root + sep))
        throw new GuardError(
          `${join(scope, name)} leads to ${target}, out of the copy: nothing that breaks here would show`,
        );
    }
  }

  /**
   * Applies one mutation.
   * @returns {() => void} reverts it
   * @throws {GuardError} when the text is not there, or not once
   */
  apply({ file, edits }) {
    const path = join(this.root, file);
    const original = readFileSync(path, 'utf8');
    writeFileSync(path, mutated(original, file, edits));
    return () => writeFileSync(path, original);
  }

  remove() {
    rmSync(dirname(this.root), { recursive: true, force: true });
  }
}

/** @throws {GuardError} */
export function mutated(text, file, edits) {
  for (const { find, replace } of edits) {
    const count = text.split(find).length - 1;
    if (count !== 1) {
      const place = count === 0 ? 'is not' : `is ${count} times`;
      throw new GuardError(`this text ${place} in ${file}; the code has moved, mend the mutation:\n${find}`);
    }
    text = text.replace(find, () => replace);
  }
  return text;
}

function trackedFiles(repository) {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: repository,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  return [...new Set(listed.split('\0'))].filter((file) => file !== '' && existsSync(join(repository, file)));
}
