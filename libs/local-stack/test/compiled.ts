import { transformFileSync } from '@swc/core';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PACKAGE = join(import.meta.dirname, '..');

/**
 * This package as JavaScript, for tests of its programs: they need no build before, and never test
 * an old one.
 */
export interface CompiledPackage {
  /** The compiled form of a file in `src`, by its name without extension. */
  program(name: string): string;
  remove(): void;
}

/**
 * Compiles `src` into a temporary copy of the package's folder, with links to what lies beside
 * `src`, and to `deploy`.
 */
export function compilePackage(): CompiledPackage {
  const root = mkdtempSync(join(tmpdir(), 'kafnus-compiled-'));
  const copy = join(root, 'libs', 'local-stack');
  const dist = join(copy, 'dist');
  mkdirSync(dist, { recursive: true });
  for (const name of ['java', 'node_modules', 'package.json']) symlinkSync(join(PACKAGE, name), join(copy, name));
  symlinkSync(join(PACKAGE, '..', '..', 'deploy'), join(root, 'deploy'));
  for (const name of readdirSync(join(PACKAGE, 'src'))) {
    const { code } = transformFileSync(join(PACKAGE, 'src', name), {
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'es6' },
    });
    writeFileSync(join(dist, name.replace(/\.ts$/, '.js')), code);
  }
  return {
    program: (name) => join(dist, `${name}.js`),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
