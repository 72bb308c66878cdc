/**
 * Draws a dashboard as SVG from the data of a Prometheus, for the documentation and for use without
 * Grafana.
 *
 *     node scripts/docs/draw-dashboard.mjs http://localhost:9090 fleet 10 > fleet.svg
 *
 * Arguments: the Prometheus; fleet, agent or tenant; how many minutes back; then values of
 * variables, `agent=lastdata`.
 */
import { dashboards } from './dashboards.mjs';

const columnWidth = 50;
const rowUnit = 26;
const pointCount = 150;
const seriesColours = [
  '#7eb26d',
  '#eab839',
  '#6ed0e0',
  '#ef843c',
  '#e24d42',
  '#1f78c1',
  '#ba43a9',
  '#705da0',
  '#508642',
];

const [prometheus, name = 'fleet', minutes = '10', ...settings] = process.argv.slice(2);
const dashboard = dashboards[`${name}.json`];
if (prometheus === undefined || dashboard === undefined || !(Number(minutes) > 0)) {
  console.error('Usage: draw-dashboard.mjs PROMETHEUS fleet|agent|tenant MINUTES [VARIABLE=VALUE ...]');
  process.exit(2);
}
const given = settings.map((setting) => setting.split('='));
const variables = { namespace: '.*', instance: '.*', agent: 'historic', tenant: 'city', ...Object.fromEntries(given) };
const end = Math.floor(Date.now() / 1000);
const start = end - Number(minutes) * 60;
const step = Math.max(1, Math.round((end - start) / pointCount));

async function ask(path, parameters) {
  const response = await fetch(`${prometheus}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const { data, error } = await response.json();
  if (!response.ok) throw new Error(`Prometheus: ${error}: ${parameters.query}`);
  return data.result;
}

/**
 * The series of a panel: a name, and points of time and value; of a panel without time, one point.
 */
async function series({ type, targets }) {
  const answers = targets.map(async ({ expr, legendFormat }) => {
    const query = expr.replace(/\$(\w+)/g, (_, key) => (key === '__rate_interval' ? `${4 * step}s` : variables[key]));
    const timed = type === 'timeseries';
    const found = await (timed ? ask('query_range', { query, start, end, step }) : ask('query', { query, time: end }));
    return found.map(({ metric, values, value }) => ({
      name: legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '').trim(),
      points: (values ?? [value]).map(([time, text]) => [time, Number(text)]).filter((point) => isFinite(point[1])),
    }));
  });
  return (await Promise.all(answers)).flat().filter(({ points }) => points.length > 0);
}

function shown(value, unit, decimals) {
  const digits = (number) => (decimals === 0 ? number.toFixed(0) : String(Number(number.toPrecision(3))));
  switch (unit) {
    case 's':
      if (value >= 120) return `${digits(value / 60)} min`;
      return value < 1 && value > 0 ? `${digits(value * 1000)} ms` : `${digits(value)} s`;
    case 'percentunit':
      return `${digits(value * 100)} %`;
    case 'bytes':
      return `${digits(value / 2 ** 20)} MiB`;
    case 'cps':
      return `${digits(value)}/s`;
    default:
      return value >= 1e4 ? `${digits(value / 1000)} k` : digits(value);
  }
}

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const label = (x, y, text, more = '') => `<text x="${x}" y="${y}" ${more}>${escaped(text)}</text>`;
const cut = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

function colourOf(value, { steps }) {
  const { color } = steps.findLast((one) => one.value === null || value >= one.value);
  return { green: '#56a64b', orange: '#ef843c', red: '#e02f44' }[color];
}

/** Draws values as large numbers and bars. */
function figures(panel, all, width, height) {
  const { unit, decimals, thresholds, noValue = 'no data' } = panel.fieldConfig.defaults;
  if (all.length === 0)
    return label(width / 2, height / 2 + 16, noValue, 'class="big" text-anchor="middle" fill="#56a64b"');
  const most = Math.max(...all.map(({ points }) => points[0][1]), Number.MIN_VALUE);
  if (panel.type === 'stat') {
    const share = (width - 20) / all.length;
    return all.map(({ name: of, points: [[, value]] }, index) => {
      const x = 10 + share * (index + 0.5);
      const fill = `class="big" text-anchor="middle" fill="${colourOf(value, thresholds)}"`;
      const room = Math.floor(share / 6);
      return label(x, 62, shown(value, unit, decimals), fill) + label(x, 84, cut(of, room), 'text-anchor="middle"');
    });
  }
  return all.slice(0, 9).map(({ name: of, points: [[, value]] }, index) => {
    const y = 36 + index * 18;
    const bar = `<rect x="150" y="${y}" width="${Math.max(1, ((width - 230) * value) / most)}" height="12" fill="#1f78c1"/>`;
    return (
      label(10, y + 10, cut(of, 23)) +
      bar +
      label(width - 10, y + 10, shown(value, unit, decimals), 'text-anchor="end"')
    );
  });
}

function lines(panel, all, width, height) {
  const { unit, decimals, custom } = panel.fieldConfig.defaults;
  const rows = Math.ceil(Math.min(all.length, 8) / 2);
  const [left, right, top, bottom] = [62, width - 12, 34, height - 22 - rows * 14];
  const stacked = custom.stacking.mode === 'normal';
  const below = new Map();
  const drawn = all.map(({ name: of, points }) => ({
    name: of,
    points: points.map(([time, value]) => {
      const height = value + (stacked ? (below.get(time) ?? 0) : 0);
      if (stacked) below.set(time, height);
      return [time, height];
    }),
  }));
  const most = Math.max(...drawn.flatMap(({ points }) => points.map(([, value]) => value)), Number.MIN_VALUE);
  const ceiling = most === Number.MIN_VALUE ? 1 : most * 1.05;
  const x = (time) => left + ((right - left) * (time - start)) / (end - start);
  const y = (value) => bottom - ((bottom - top) * value) / ceiling;
  const grid = (decimals === 0 && most < 2 ? [0, 1] : [0, 0.5, 1]).map((share) => {
    const at = bottom - (bottom - top) * share;
    const line = `<line x1="${left}" x2="${right}" y1="${at}" y2="${at}" stroke="#e4e7eb"/>`;
    return line + label(left - 6, at + 4, shown(ceiling * share, unit, decimals), 'text-anchor="end"');
  });
  const curves = drawn.map(({ points }, index) => {
    const path = points.map(([time, value]) => `${x(time).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    return `<polyline points="${path}" fill="none" stroke="${seriesColours[index % seriesColours.length]}" stroke-width="1.5"/>`;
  });
  const legend = drawn.slice(0, 8).map(({ name: of }, index) => {
    const [atX, atY] = [left + (index % 2) * ((right - left) / 2), bottom + 18 + Math.floor(index / 2) * 14];
    const more = index === 7 && drawn.length > 8 ? ` and ${drawn.length - 8} more` : '';
    const mark = `<rect x="${atX}" y="${atY - 6}" width="10" height="3" fill="${seriesColours[index % seriesColours.length]}"/>`;
    return mark + label(atX + 14, atY, cut(of, Math.floor((right - left) / 13) - more.length) + more);
  });
  return [...grid, ...curves, ...legend];
}

const parts = await Promise.all(
  dashboard.panels.map(async (panel) => {
    const { x, y, w, h } = panel.gridPos;
    const move = `<g transform="translate(${x * columnWidth + 4} ${y * rowUnit + 44})">`;
    if (panel.type === 'row') return `${move}${label(4, 19, panel.title, 'class="row"')}</g>`;
    const [width, height] = [w * columnWidth - 8, h * rowUnit - 8];
    const all = await series(panel);
    const content = panel.type === 'timeseries' ? lines(panel, all, width, height) : figures(panel, all, width, height);
    const frame = `<rect width="${width}" height="${height}" rx="4" fill="#fff" stroke="#d8dde3"/>`;
    return `${move}${frame}${label(10, 20, panel.title, 'class="title"')}${[content].flat().join('')}</g>`;
  }),
);
const height = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h)) * rowUnit + 52;
console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${24 * columnWidth} ${height}" font-family="sans-serif" font-size="11" fill="#464c54">
<style>.title { font-weight: bold; font-size: 12px } .row { font-size: 15px; font-weight: bold } .big { font-size: 26px; font-weight: bold } .head { font-size: 20px; font-weight: bold }</style>
<rect width="100%" height="100%" fill="#f4f5f5"/>
${label(10, 30, dashboard.title, 'class="head"')}
${parts.join('\n')}
</svg>`);
