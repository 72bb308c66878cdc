/** docs/bench.svg: what was measured, as bars. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { machineLine, type Machine } from './machine.js';
import type { Results } from './results.js';
import { shown } from './table.js';

interface Bar {
  readonly label: string;
  readonly value: number;
  /** Behind the bar; default: the value. */
  readonly note?: string;
  /** One of ours, which stands out. */
  readonly ours: boolean;
}

interface Panel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const file = fileURLToPath(new URL('../../docs/bench.svg', import.meta.url));
const results = fileURLToPath(new URL('../results/', import.meta.url));

const width = 880;
const labelWidth = 250;
const noteWidth = 190;
const barHeight = 20;
const rowHeight = 28;
const titleHeight = 44;

/**
 * Draws what this run has measured and, for sections that it left out, what an earlier run on such
 * a machine has.
 */
export function drawResults(machine: Machine, current: Results): void {
  const panels = panelsOf({ ...earlier(machine), ...current });
  if (panels.length === 0) return;
  mkdirSync(fileURLToPath(new URL('../../docs/', import.meta.url)), { recursive: true });
  writeFileSync(file, svg(panels, machineLine(machine)));
}

function earlier({ cores, cpu, node }: Machine): Results {
  const read = (section: keyof Results): object => {
    try {
      const result = JSON.parse(readFileSync(`${results}${section}.json`, 'utf8')) as { readonly machine: Machine };
      const same = result.machine.cores === cores && result.machine.cpu === cpu && result.machine.node === node;
      return same ? { [section]: result } : {};
    } catch {
      // Not measured yet.
      return {};
    }
  };
  return { ...read('pipeline'), ...read('peers'), ...read('latency') };
}

function panelsOf({ pipeline, peers, latency }: Results): Panel[] {
  const panels: Panel[] = [];
  if (peers) {
    const isOurs = (name: string): boolean => name === 'historic';
    panels.push({
      title: 'One process on a backlog, warm: notifications per second (more is better)',
      bars: peers.contenders.map(({ name, warm }) => ({
        label: name,
        value: warm.recordsPerSecond,
        ours: isOurs(name),
      })),
    });
    panels.push({
      title: 'CPU of a notification, warm: microseconds (less is better)',
      bars: peers.contenders.map(({ name, warm }) => ({
        label: name,
        value: warm.cpuMicrosPerRecord,
        ours: isOurs(name),
      })),
    });
  }
  if (pipeline) {
    panels.push({
      title: 'The agents on a backlog: notifications per second, and peak memory',
      bars: pipeline.agents.map(({ name, recordsPerSecond, peakRssMb }) => ({
        label: name,
        value: recordsPerSecond,
        note: `${shown(recordsPerSecond)}, ${shown(peakRssMb)} MB`,
        ours: true,
      })),
    });
  }
  if (latency) {
    panels.push({
      title: 'Latency to a read_committed reader, p99: milliseconds (less is better)',
      bars: latency.figures.map(({ name, rate, p50, p99 }) => ({
        label: `${name}, ${shown(rate)}/s`,
        value: p99,
        note: `${shown(p99)} (p50 ${shown(p50)})`,
        ours: name.startsWith('historic'),
      })),
    });
  }
  return panels;
}

function svg(panels: readonly Panel[], caption: string): string {
  const parts: string[] = [];
  let y = 8;
  for (const { title, bars } of panels) {
    parts.push(text(16, y + 26, title, 'font-weight="600"'));
    y += titleHeight;
    const longest = Math.max(...bars.map(({ value }) => value));
    for (const { label, value, note, ours } of bars) {
      const length = Math.max(1, (value / longest) * (width - labelWidth - noteWidth));
      const middle = y + barHeight / 2 + 5;
      parts.push(text(labelWidth - 10, middle, label, 'text-anchor="end"'));
      parts.push(
        `<rect x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="2" fill="${ours ? '#0b7285' : '#adb5bd'}"/>`,
      );
      parts.push(text(labelWidth + length + 8, middle, note ?? shown(value)));
      y += rowHeight;
    }
    y += 8;
  }
  parts.push(text(16, y + 20, caption, 'font-size="11" fill="#868e96"'));
  const height = y + 36;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13" fill="#212529">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function text(x: number, y: number, content: string, attributes = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y}" ${attributes}>${escaped}</text>`;
}
