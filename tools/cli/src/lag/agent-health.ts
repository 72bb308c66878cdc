/** Reads `GET /health` of agents. */
import { messageOf } from '@kafnus/kafka-admin';
import { isObject } from '@kafnus/ngsi-core';
import { UsageError } from '../command.js';
import { quoted } from '../terminal/text.js';
import type { HealthResult } from './lag-snapshot.js';

const answerTimeoutMs = 3000;
/** A status has some kilobytes, with hundreds of tenants some hundred kilobytes. */
const maxBytes = 8_000_000;

/** The URL of `/health` for `host:port` or an http(s) URL. @throws UsageError */
export function healthUrl(text: string): string {
  const given = text.trim();
  const full = given.includes('://') ? given : `http://${given}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(
      `--health ${quoted(text)} must be host:port or http://host:port of an agent, separated by commas`,
    );
  }
  if (!url.pathname.endsWith('/health')) url.pathname = `${url.pathname.replace(/\/$/, '')}/health`;
  return url.href;
}

/** Never rejects: a failure is of kind `silent`. */
export async function healthOf(url: string): Promise<HealthResult> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(answerTimeoutMs) });
    const text = await response.text();
    if (!response.ok) return { kind: 'silent', url, problem: `HTTP status ${response.status}` };
    if (text.length > maxBytes) return { kind: 'silent', url, problem: 'the answer is too large for a status' };
    return readHealth(url, JSON.parse(text));
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : '';
    return { kind: 'silent', url, problem: cause === '' ? messageOf(error) : cause };
  }
}

/**
 * Validates the used fields of a status (`AgentStatus` of the runtime): another program may have
 * answered.
 */
export function readHealth(url: string, status: unknown): HealthResult {
  const ledger = isObject(status) ? status['ledger'] : undefined;
  if (!isObject(status) || typeof status['agent'] !== 'string' || !isObject(ledger)) {
    return { kind: 'silent', url, problem: 'the answer is not the status of an agent' };
  }
  const assignment: readonly unknown[] = Array.isArray(status['assignment']) ? status['assignment'] : [];
  return {
    kind: 'health',
    url,
    agent: status['agent'],
    instance: textOf(status['instance']) ?? '',
    state: textOf(status['state']) ?? '',
    problem: textOf(status['problem']) ?? null,
    stalled: status['stalled'] === true,
    read: numberOf(ledger['read']) ?? 0,
    rejected: countsOf(ledger['rejected']),
    stateEntries: numberOf(status['stateEntries']) ?? null,
    restoring: assignment.flatMap((each) => {
      if (!isObject(each) || each['state'] !== 'restoring') return [];
      const { offset, end } = isObject(each['restore']) ? each['restore'] : {};
      const part = (numberOf(offset) ?? 0) / Math.max(1, numberOf(end) ?? 1);
      return [
        { topic: textOf(each['topic']) ?? '', partition: numberOf(each['partition']) ?? -1, done: Math.min(1, part) },
      ];
    }),
  };
}

function countsOf(value: unknown): Readonly<Record<string, number>> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, count]): [string, number][] =>
      typeof count === 'number' ? [[name, count]] : [],
    ),
  );
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
