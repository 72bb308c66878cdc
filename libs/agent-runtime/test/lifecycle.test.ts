import { describe, expect, test } from '@jest/globals';
import { Lifecycle, type LifecycleState } from '@kafnus/agent-runtime';
import { readFileSync } from 'node:fs';

const states: readonly LifecycleState[] = ['starting', 'running', 'recovering', 'stopping', 'stopped', 'failed'];
/** As drawn above the type. */
const allowed = new Set([
  'starting running',
  'starting stopping',
  'running recovering',
  'running stopping',
  'recovering running',
  'recovering stopping',
  'stopping stopped',
  ...['starting', 'running', 'recovering', 'stopping'].map((state) => `${state} failed`),
]);
const paths: Readonly<Record<LifecycleState, readonly LifecycleState[]>> = {
  starting: [],
  running: ['running'],
  recovering: ['running', 'recovering'],
  stopping: ['stopping'],
  stopped: ['stopping', 'stopped'],
  failed: ['failed'],
};

describe('Lifecycle', () => {
  for (const from of states) {
    for (const to of states) {
      test(`${from} -> ${to} is ${allowed.has(`${from} ${to}`) ? 'a transition' : 'a bug'}`, () => {
        const lifecycle = new Lifecycle();
        for (const state of paths[from]) lifecycle.to(state);
        expect(lifecycle.state).toBe(from);
        if (allowed.has(`${from} ${to}`)) {
          lifecycle.to(to);
          expect(lifecycle.state).toBe(to);
        } else {
          expect(() => lifecycle.to(to)).toThrow(`illegal transition from ${from} to ${to}`);
          expect(lifecycle.state).toBe(from);
        }
      });
    }
  }

  test('tells since when', () => {
    const before = new Date();
    const lifecycle = new Lifecycle();
    lifecycle.to('running');
    expect(lifecycle.since.getTime()).toBeGreaterThanOrEqual(before.getTime());
    expect(lifecycle.since.getTime()).toBeLessThanOrEqual(Date.now());
  });

  test('every state is drawn', () => {
    const source = readFileSync(new URL('../src/lifecycle.ts', import.meta.url), 'utf8');
    const drawing = source.slice(0, source.indexOf('export type'));
    for (const state of states) expect(drawing).toContain(state);
  });
});
