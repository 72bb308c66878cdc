/** Generated files are up to date, and hand-written pages name existing things only. */
import { describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dashboards, queriesOf, type Panel } from './harness/dashboards.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

const pages = [
  'docs/monitoring.md',
  'deploy/alerts/kafnus.rules.yaml',
  ...readdirSync(join(root, 'docs/runbooks')).map((file) => `docs/runbooks/${file}`),
];

describe('the pages', () => {
  test('that are generated are up to date', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/docs/main.mjs'), '--check'], {
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test.each(pages)('%s names existing metrics, settings, commands and panels only', (page) => {
    const text = read(page);
    const metrics = read('docs/metrics.md');
    const records = [...read('deploy/alerts/kafnus.rules.yaml').matchAll(/record: (\S+)/g)].map(([, name]) => name);
    const settings = read('libs/agent-runtime/src/config/settings.ts') + read('libs/ngsi-core/src/settings.ts');
    const commands = [...read('tools/cli/src/commands.ts').matchAll(/name: '(\w+)'/g)].map(([, name]) => name);
    const panels = dashboards.flatMap((dashboard) => dashboard.panels.map(({ title }) => title));

    const names = (pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, name = '']) => name);
    const isMetric = (name: string): boolean => metrics.includes(`\`${name.replace(/_bucket$/, '')}\``);
    const unknown = {
      metrics: names(/(?<![\w:])(kafnus_\w+)(?!:)/g).filter((name) => !isMetric(name)),
      records: names(/(?<!record: )\b(\w+:kafnus_\w+:\w+)/g).filter((name) => !records.includes(name)),
      settings: names(/\b(KAFNUS_[A-Z_]*[A-Z])\b(?!_)/g).filter((name) => !settings.includes(`'${name}'`)),
      commands: names(/(?:^ {4}|`)kafnus (\w+)/gm).filter((name) => !commands.includes(name)),
      panels: names(/\bpanel\s+"([^"]+)"/g).filter((title) => !panels.includes(title)),
    };
    expect(unknown).toEqual({ metrics: [], records: [], settings: [], commands: [], panels: [] });
  });

  test.each(pages.filter((page) => page.startsWith('docs/runbooks/') && !page.endsWith('README.md')))(
    '%s has the parts of a runbook',
    (page) => {
      const text = read(page);
      const parts = [...text.matchAll(/^## (.*)$/gm)].map(([, title]) => title);
      expect(parts).toEqual(['What it means', 'At risk', 'Look', 'Do', 'Over']);
      expect(text).toMatch(/^## Look\n\n( {4}(kubectl|kafnus|kafka-[a-z-]+\.sh|psql) .*\n)+\n/m);
    },
  );
});

describe.each(dashboards.map((dashboard) => [dashboard.file, dashboard] as const))('%s', (_file, dashboard) => {
  const shown = dashboard.panels.filter(({ type }) => type !== 'row');

  test('uses the selected data source only', () => {
    expect(dashboard.templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource', query: 'prometheus' });
    const used = shown.flatMap(({ datasource, targets = [] }) => [
      datasource,
      ...targets.map((target) => target.datasource),
    ]);
    for (const datasource of used) expect(datasource).toEqual({ type: 'prometheus', uid: '${datasource}' });
  });

  test('describes each panel, and has unique names and ids', () => {
    expect(dashboard.panels.map(({ id }) => id)).toEqual(dashboard.panels.map((_, index) => index + 1));
    expect(new Set(shown.map(({ title }) => title)).size).toBe(shown.length);
    for (const { title, description = '', targets = [] } of shown) {
      expect({ title, description }).toEqual({ title, description: expect.stringMatching(/^.{10,200}\.$/) });
      expect({ title, targets: targets.length > 0 }).toEqual({ title, targets: true });
    }
    for (const { place, legend, expr } of queriesOf(dashboard)) {
      // A query with an empty legend must return one series.
      expect({ place, named: legend.length > 0 || !/\bby \((?!namespace\))/.test(expr) }).toEqual({
        place,
        named: true,
      });
    }
  });

  test('has no overlapping panels', () => {
    for (const [index, one] of dashboard.panels.entries()) {
      expect(one.gridPos.x + one.gridPos.w).toBeLessThanOrEqual(24);
      for (const other of dashboard.panels.slice(index + 1))
        expect({ one: one.title, other: other.title, overlap: overlap(one, other) }).toMatchObject({ overlap: false });
    }
  });
});

function overlap({ gridPos: a }: Panel, { gridPos: b }: Panel): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}
