import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Runs `work` while holding a lock file that other processes of this machine respect. The file
 * holds the process id of its owner: a lock whose owner is dead is taken over.
 */
export async function withFileLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  while (!(await acquire(file))) await sleep(100);
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

async function acquire(file: string): Promise<boolean> {
  try {
    await writeFile(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
  }
  if (await hasLiveOwner(file)) return false;
  // Two processes may find the dead owner at once. Only one can move the file away; the other finds
  // no file or, in the worst case, the lock taken a moment ago: it looks at what it moved and puts
  // a living owner's lock back.
  const moved = `${file}.${process.pid}`;
  try {
    await rename(file, moved);
    if (await hasLiveOwner(moved)) await rename(moved, file);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
  await rm(moved, { force: true });
  return false;
}

async function hasLiveOwner(file: string): Promise<boolean> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return true;
    throw error;
  }
  // Empty: its owner has created it and is about to write the id. Should the owner have died in
  // between, the file must be deleted by hand; that window is some microseconds.
  if (text === '') return true;
  try {
    process.kill(Number(text), 0);
    return true;
  } catch (error) {
    return isSystemError(error, 'EPERM');
  }
}

function isSystemError(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
