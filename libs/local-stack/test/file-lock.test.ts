import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { withFileLock } from '../src/file-lock.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kafnus-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const lockFile = (): string => join(folder, 'lock');

describe('withFileLock', () => {
  test('lets one at a time in and leaves no file behind', async () => {
    const file = lockFile();
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      inside += 1;
      most = Math.max(most, inside);
      await sleep(20);
      inside -= 1;
    };
    await Promise.all([1, 2, 3, 4].map(() => withFileLock(file, work)));
    expect(most).toBe(1);
    expect(existsSync(file)).toBe(false);
  });

  test('takes over the lock of a dead process', async () => {
    const file = lockFile();
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    writeFileSync(file, String(dead));
    expect(await withFileLock(file, () => Promise.resolve('mine'))).toBe('mine');
  });

  test('is free again after a failure', async () => {
    const file = lockFile();
    await expect(withFileLock(file, () => Promise.reject(new Error('no disk')))).rejects.toThrow('no disk');
    expect(await withFileLock(file, () => Promise.resolve('next'))).toBe('next');
  });
});
