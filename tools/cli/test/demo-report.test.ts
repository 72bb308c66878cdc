import { describe, expect, test } from '@jest/globals';
import type { AgentStatus } from '@kafnus/agent-runtime';
import { counterLines, reasons, type AgentCounters } from '../src/demo/agent-counters.js';
import { agentNames } from '../src/demo/demo-expectations.js';
import { keepLines, problemLines, reportLines, comparisonLines, type DemoReport } from '../src/demo/demo-report.js';
import { compare } from '../src/demo/compare.js';
import { styleOf } from '../src/terminal/style.js';
import { simulatedDemo } from './simulation.js';

const { names, published, expected, seen } = simulatedDemo();
const plain = styleOf(false);
const counters = agentNames.map((name) => ({ name, status: undefined, ready: true, ended: false, expected: 34 }));
const report: DemoReport = { kind: 'embedded', brokers: 'localhost:1', names, published, seen, counters };
const comparison = compare(names, expected, seen);

describe('the report', () => {
  const lines = reportLines(report, 100, plain);
  const text = lines.join('\n');

  test('has every agent, and fits the terminal', () => {
    for (const name of agentNames) expect(text).toContain(`  ── ${name} ───`);
    for (const width of [60, 100, 120]) {
      const longest = Math.max(...reportLines(report, width, plain).map((line) => [...line].length));
      expect(longest).toBeLessThanOrEqual(width);
    }
  });

  test('shows columns with their Connect types and values', () => {
    expect(lines).toContain('    location           struct Geometry  POINT (-8.6109 41.1402) srid=4326');
    expect(lines).toContain('    datelastlampchange  int64 Timestamp  2024-11-02T08:30:00.000Z');
    expect(lines).toContain('    illuminancelevel    double?          null');
    expect(text).toContain('POLYGON ((-8.6111 41.1401');
  });

  test('shows one whole record', () => {
    const raw = lines.slice(lines.indexOf('  the same record as it is in Kafka') + 1);
    const joined = raw
      .slice(0, raw.indexOf(''))
      .map((line) => line.slice(13))
      .join('');
    expect(joined).toContain('"payload":{"entityid":"urn:ngsi-ld:Streetlight:mill-lane-3","entitytype":"Streetlight"');
  });

  test('shows the update that was skipped, with both TimeInstants, and the tombstone', () => {
    const at = lines.indexOf('  an older measurement arrives late: it is skipped, and counted as stale');
    expect(lines.slice(at + 1, at + 3)).toEqual([
      '  received   2026-05-01T08:05:00.000Z',
      '  known      2026-05-01T08:10:00.000Z, which is newer and stays',
    ]);
    const deleted = lines.indexOf('  the parking spot is deleted: a tombstone, which removes the row');
    expect(lines[deleted + 4]).toBe('  value      null');
  });

  test('shows the reject, the report and the error log', () => {
    expect(lines).toContain('  code       kafnus.rejected.not-json');
    expect(lines).toContain('  code       kafnus.rejected.date-invalid');
    expect(lines).toContain('    calibrated         int64 Timestamp?  null');
    expect(text).toMatch(/error {6}string {8}ERROR: relation "harbour/);
    expect(text).toMatch(/query {6}string\? {7}INSERT INTO "harbour"/);
  });

  test('claims nothing that was not seen', () => {
    const nothing = reportLines({ ...report, seen: { topics: [], records: [], agents: {} } }, 100, plain).join('\n');
    for (const claim of ['is skipped', 'tombstone', 'rejected.', 'INSERT', 'POINT'])
      expect(nothing).not.toContain(claim);
  });

  test('is the same text with colours', () => {
    const coloured = reportLines(report, 100, styleOf(true)).join('\n');
    expect(coloured).not.toBe(text);

    expect(coloured.replace(/\u001b\[\d+m/g, '').replace(/ +$/gm, '')).toBe(text.replace(/ +$/gm, ''));
  });
});

describe('the comparison', () => {
  test('says that all came, and on a mock what that proves', () => {
    const text = comparisonLines(report, comparison, 100, plain).join('\n');
    expect(text).toContain(`comparisons: all ${seen.records.length} records are as expected`);
    expect(text).toContain('This broker is a mock');
    expect(comparisonLines({ ...report, kind: 'real' }, comparison, 100, plain).join('\n')).not.toContain('mock');
  });

  test('says what was expected and what was received', () => {
    const problem = { agent: 'lastdata', what: 'records read', expected: '7', came: 'a\nb' } as const;
    const failed = { checks: 1200, problems: Array.from({ length: 3 }, () => problem) };
    expect(comparisonLines(report, failed, 100, plain).join('\n')).toContain('✘ 3 of 1,200 comparisons failed');
    expect(problemLines(failed, 2)).toEqual([
      ...['lastdata: records read', '  expected  7', '  received  a\\nb'],
      ...['lastdata: records read', '  expected  7', '  received  a\\nb'],
      'and 1 more',
    ]);
  });
});

describe('counters', () => {
  test('tell how far each agent is', () => {
    const ledger = {
      read: 1200,
      emitted: 1100,
      rekeyed: 0,
      skipped: { stale: 90 },
      rejected: { 'not-json': 10 },
      tenants: {},
    };
    const status: AgentStatus = {
      ...{ agent: 'lastdata', instance: 'i', version: '1', state: 'running', since: '', problem: null, stalled: false },
      ...{ assignment: [], lag: 0, lastCommit: null, stateEntries: 3, ledger },
    };
    const agents: readonly AgentCounters[] = [
      { name: 'historic', status: undefined, ready: false, ended: false, expected: undefined },
      { name: 'lastdata', status, ready: true, ended: false, expected: 2000 },
      { name: 'mutable', status, ready: true, ended: true, expected: 2000 },
    ];
    expect(counterLines(agents, 100, plain)).toEqual([
      '  agent     state            read  emitted  skipped   rejected',
      '  historic  starting            0        0  -         -',
      '  lastdata  running   1,200/2,000    1,100  90 stale  10 not-json',
      '  mutable   ended     1,200/2,000    1,100  90 stale  10 not-json',
    ]);
    expect(reasons({ stale: 1, empty: 2 })).toBe('1 stale, 2 empty');
  });

  test('keepLines tells where everything is', () => {
    const text = keepLines(report, [{ name: 'historic', http: '127.0.0.1:81' }], plain).join('\n');
    expect(text).toContain('http://127.0.0.1:81/health');
    expect(text).toContain('send --brokers localhost:1 --topic raw_historic');
  });
});
