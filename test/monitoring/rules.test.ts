/** The alerts: their unit tests, their annotations, and their runbooks. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  promtool,
  rulesFile,
  ruleTests,
  startPrometheus,
  withPrometheus,
  type Prometheus,
  type Rule,
} from './harness/prometheus.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const testFiles = readdirSync(ruleTests);

withPrometheus(describe)('the rules', () => {
  let prometheus: Prometheus;
  let alerts: readonly Rule[];

  beforeAll(async () => {
    prometheus = await startPrometheus([]);
    alerts = (await prometheus.rules()).filter(({ type }) => type === 'alerting');
  });

  afterAll(async () => {
    await prometheus?.stop();
  });

  test('are valid for Prometheus', () => {
    const { status, output } = promtool('check', 'rules', '--lint=all', '--lint-fatal', rulesFile);
    expect({ status, output }).toEqual({ status: 0, output: expect.stringContaining('SUCCESS') });
  });

  test.each(testFiles)('pass %s', (file) => {
    const { status, output } = promtool('test', 'rules', join(ruleTests, file));
    expect({ status, output }).toEqual({ status: 0, output: expect.stringContaining('SUCCESS') });
  });

  test('have a test case in which they fire, for each severity, and one in which they do not', () => {
    const cases = testFiles.flatMap((file) =>
      readFileSync(join(ruleTests, file), 'utf8').split(/(?=- \{? ?eval_time:)/),
    );
    for (const { name, labels } of alerts) {
      const own = cases.filter((text) => new RegExp(`alertname: ${name}\\b`).test(text));
      const fires = own.some((text) => text.includes(`severity: ${labels?.['severity']}`));
      const doesNot = own.some((text) => /exp_alerts: \[\]/.test(text));
      expect({ name, labels, fires, doesNot }).toEqual({ name, labels, fires: true, doesNot: true });
    }
  });

  test('have annotations in sentences, a severity, and a runbook of the same name', () => {
    expect(alerts.length).toBeGreaterThan(15);
    for (const { name, labels, annotations } of alerts) {
      expect({ name, severity: labels?.['severity'] }).toEqual({
        name,
        severity: expect.stringMatching(/^(critical|warning)$/),
      });
      expect(annotations).toEqual({
        summary: expect.stringMatching(/^.{10,120}\.$/),
        description: expect.stringMatching(/^[A-Z].{30,400}\.$/),
        runbook_url: `docs/runbooks/${runbookOf(name)}`,
      });
      expect({ name, runbook: existsSync(join(root, 'docs/runbooks', runbookOf(name))) }).toEqual({
        name,
        runbook: true,
      });
    }
  });

  test('match the runbooks, the index of runbooks and the table of thresholds', () => {
    const runbooks = readdirSync(join(root, 'docs/runbooks')).filter((file) => file !== 'README.md');
    expect(new Set(runbooks)).toEqual(new Set(alerts.map(({ name }) => runbookOf(name))));
    const index = readFileSync(join(root, 'docs/runbooks/README.md'), 'utf8');
    const page = readFileSync(join(root, 'docs/monitoring.md'), 'utf8');
    for (const { name } of alerts) {
      expect(index).toContain(`[${name}](${runbookOf(name)})`);
      expect(page).toContain(`\`${name}\``);
    }
  });
});

/** `KafnusAgentAbsent` is agent-absent.md. */
function runbookOf(alert: string): string {
  const words = alert.replace(/^Kafnus/, '').match(/[A-Z][a-z]+/g) ?? [];
  return `${words.join('-').toLowerCase()}.md`;
}
