import { afterEach, describe, expect, test } from '@jest/globals';
import { withKafka } from '@kafnus/agent-testkit';
import { prepareKafka, whyNoLocalKafka } from '@kafnus/local-stack';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const before = { JAVA_HOME: process.env['JAVA_HOME'], CI: process.env['CI'] };
const homes: string[] = [];
afterEach(() => {
  for (const home of homes.splice(0)) rmSync(home, { recursive: true });
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

/** A JAVA_HOME whose java reports this version. */
function fakeJava(version: string): string {
  const home = mkdtempSync(join(tmpdir(), 'kafnus-java-'));
  homes.push(home);
  mkdirSync(join(home, 'bin'));
  writeFileSync(join(home, 'bin/java'), `#!/bin/sh\necho 'openjdk version "${version}"' >&2\n`, { mode: 0o755 });
  return home;
}

describe('whyNoLocalKafka', () => {
  test('says how to get Java when there is none', async () => {
    process.env['JAVA_HOME'] = '/nonexistent';
    const reason = /there is no java: install them with: apt-get install openjdk-17-jdk-headless maven/;
    expect(whyNoLocalKafka()).toMatch(reason);
    await expect(prepareKafka()).rejects.toThrow(reason);
  });

  test('says that Java is too old', () => {
    process.env['JAVA_HOME'] = fakeJava('11.0.2');
    expect(whyNoLocalKafka()).toContain('needs a JDK 17 or newer, and java is version 11');
  });
});

describe('withKafka', () => {
  const suites = (): string[] => {
    const ran: string[] = [];
    const recorder = Object.assign((name: string) => void ran.push(`ran ${name}`), {
      skip: (name: string) => void ran.push(`skipped ${name}`),
    });
    withKafka(recorder)('suite', () => undefined);
    return ran;
  };

  test('skips by name without Java, but not under CI', () => {
    process.env['JAVA_HOME'] = '/nonexistent';
    delete process.env['CI'];
    expect(suites()).toEqual([expect.stringMatching(/^skipped suite \[skipped: .* no java/)]);
    process.env['CI'] = 'true';
    expect(suites()).toEqual(['ran suite']);
  });
});
