/** Records in a file: what a run has found, to be sent again. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { AgentName } from '../faults/harness/workload.js';
import type { Finding } from './checks.js';
import type { FuzzRecord } from './generator.js';
import type { Delivery } from './options.js';

export interface Found {
  readonly agent: AgentName;
  readonly delivery: Delivery;
  readonly seed: number;
  readonly burst: number;
  readonly findings: readonly Finding[];
  readonly records: readonly FuzzRecord[];
}

/** Bytes are written in base 64, numbers of 64 bits as text. */
export function writeFound(file: string, { records, ...rest }: Found): void {
  const base64 = (bytes: Buffer | null): string | null => bytes && bytes.toString('base64');
  const written = records.map(({ name, key, value, headers, timestamp }) => ({
    name,
    key: base64(key),
    value: base64(value),
    headers: headers.map((header) => [base64(header.name), base64(header.value)]),
    timestamp: String(timestamp),
  }));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ ...rest, records: written }, null, 1)}\n`);
}

/** @throws Error when the file is not there, or not of this kind */
export function readFound(file: string): Found {
  const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text, 'base64'));
  const { records, ...rest } = JSON.parse(readFileSync(file, 'utf8'));
  return {
    ...rest,
    records: records.map((record: Record<string, never>) => ({
      name: record['name'],
      key: bytes(record['key'] ?? null),
      value: bytes(record['value'] ?? null),
      headers: (record['headers'] as unknown as [string, string | null][]).map(([name, value]) => ({
        name: bytes(name) ?? Buffer.alloc(0),
        value: bytes(value),
      })),
      timestamp: BigInt(record['timestamp'] ?? '0'),
    })),
  };
}
