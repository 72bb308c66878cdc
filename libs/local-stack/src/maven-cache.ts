import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from './command.js';
import { withFileLock } from './file-lock.js';

/**
 * The folder in the cache for what follows from `sources`, and is named for them: with another pom
 * or another source it is another folder. The cache is `$KAFNUS_CACHE`, else `.cache` in the root
 * of the repository.
 */
export function cacheFolder(name: string, sources: readonly string[]): string {
  const hash = createHash('sha256');
  for (const source of sources) hash.update(readFileSync(source));
  const root = process.env['KAFNUS_CACHE'] ?? fileURLToPath(new URL('../../../.cache/', import.meta.url));
  return join(root, `${name}-${hash.digest('hex').slice(0, 8)}`);
}

/**
 * Has `fill` make the folder unless it is there. It is made under a lock and appears by a rename:
 * processes that start at the same time share one download and never see half of it.
 * @param fill makes the folder whose path it gets
 */
export async function fillOnce(folder: string, fill: (partial: string) => Promise<void>): Promise<void> {
  if (existsSync(folder)) return;
  mkdirSync(dirname(folder), { recursive: true });
  await withFileLock(`${folder}.lock`, async () => {
    if (existsSync(folder)) return;
    const partial = join(dirname(folder), `${basename(folder)}.partial`);
    await rm(partial, { recursive: true, force: true });
    await fill(partial);
    await rename(partial, folder);
  });
}

/**
 * Puts the jars that a pom names, and those that they need, into a folder.
 * @param what whose jars they are, for the message
 * @throws Error when Maven cannot get them
 */
export async function copyDependencies(pom: string, folder: string, what: string): Promise<void> {
  const maven = ['-B', '-q', '-Dstyle.color=never', '-f', pom, 'dependency:copy-dependencies'];
  try {
    await runCommand('mvn', [...maven, '-DincludeScope=runtime', `-DoutputDirectory=${folder}`]);
  } catch (error) {
    throw new Error(
      `Maven could not fetch the jars of ${what}. Is a Maven repository reachable (~/.m2/settings.xml)?`,
      { cause: error },
    );
  }
}
