/**
 * The script of the status page. It draws the report that the page contains, then one from
 * `/status.json` every two seconds while the page is visible. Text gets into the page as text nodes
 * only, never as HTML; characters that are invisible, or would turn the text around them, are
 * spelled out.
 */
/** @import { LedgerTotals, PartitionStatus, RecentActivity } from '../../status.js' */
/** @import { RecentReject, StatusReport } from '../../status.js' */

const pollMs = 2000;
const timeoutMs = 5000;
/** What each part shows, as JSON. */
const last = new Map();
let lastAnswer = Date.now();
let timer = 0;

/**
 * @template {Element} [E=HTMLElement]
 * @param {string} selector
 * @param {ParentNode} within
 * @returns {E}
 */
function find(selector, within = document) {
  const element = within.querySelector(selector);
  if (element === null) throw new Error('the page has no ' + selector);
  return /** @type {any} */ (element);
}
/** @param {string} id */
const byId = (id) => find('#' + id);

// --- text -------------------------------------------------------------------------------------

/** @param {string} character */
const spelled = (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`;
/** @param {string | number} value */
const shown = (value) => {
  const text = String(value).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, spelled);
  return text.length > 300 ? text.slice(0, 300) + '… (' + count(text.length) + ' characters)' : text;
};
/** @param {number} value */
const count = (value) => value.toLocaleString('en', { maximumFractionDigits: 0 });
/** @param {number} value */
const rate = (value) => value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 });
/** @type {(value: number, one: string, more: string) => string} */
const many = (value, one, more) => count(value) + ' ' + (value === 1 ? one : more);
/** @param {string} iso */
const moment = (iso) => iso.slice(0, 19).replace('T', ' ');
/** @param {number} ms */
const span = (ms) => {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 100) return seconds + ' s';
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return minutes + ' min';
  const hours = Math.round(minutes / 60);
  return hours < 48 ? hours + ' h' : Math.round(hours / 24) + ' days';
};
/** @param {Readonly<Record<string, number>>} counts */
const total = (counts) => Object.values(counts).reduce((sum, value) => sum + value, 0);

// --- elements ---------------------------------------------------------------------------------

/**
 * Writes a text if it is new: a screen reader does not repeat, and a selection does not lose, what
 * stays the same.
 * @param {Element} element
 * @param {string} text
 */
function write(element, text) {
  const wanted = shown(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}
/**
 * @param {string} name
 * @param {Readonly<Record<string, string | number>>} attributes
 * @param {readonly (Node | string | number)[]} children
 */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  for (const child of children) element.append(child instanceof Node ? child : shown(child));
  return element;
}
/** @type {(value: Node | string | number | null, kind?: string) => HTMLElement} */
const cell = (value, kind = '') => make('td', { class: kind }, value ?? '–');
/** @type {(value: string, kind?: string) => HTMLElement} */
const rowHead = (value, kind = '') => make('th', { scope: 'row', class: kind }, value);
/** @param {number | null} value */
const number = (value) => cell(value === null ? null : count(value), 'number');
/** @param {number | null} value without separators, as other tools take it */
const offset = (value) => cell(value, 'number');

/**
 * Draws a part of the page if its data have changed.
 * @template T
 * @param {string} name
 * @param {T} data
 * @param {(data: T) => void} draw
 */
function part(name, data, draw) {
  const text = JSON.stringify(data);
  if (last.get(name) === text) return;
  draw(data);
  last.set(name, text);
}
/** @type {(id: string, rows: readonly HTMLElement[]) => void} */
function fill(id, rows) {
  const table = byId(id);
  find('tbody', table).replaceChildren(...rows);
  table.hidden = rows.length === 0;
  byId(id + '-none').hidden = rows.length > 0;
}

// --- parts of the page ------------------------------------------------------------------------

/**
 * @param {StatusReport} report
 * @returns {['good' | 'warn' | 'bad', string]} a level, and a sentence about it
 */
function summarize(report) {
  const { state, stalled, live, ready, problem, assignment } = report;
  if (stalled)
    return [
      'bad',
      'Stalled: there is lag and no progress, and /live fails so that the process is restarted. ' + (problem ?? ''),
    ];
  if (state === 'failed' || !live.live) return ['bad', problem ?? live.reason];
  if (problem !== null) return ['warn', problem];
  if (!ready.ready) return ['warn', 'Not ready: ' + ready.reason];
  if (assignment.length === 0)
    return ['good', 'All is well. No partition is assigned to this process: the others of its group have them all.'];
  return ['good', 'All is well. ' + many(assignment.length, 'partition is', 'partitions are') + ' read.'];
}

/** @param {StatusReport} report */
function head(report) {
  const [level, sentence] = summarize(report);
  const sign = { good: '', warn: '! ', bad: '!! ' }[level];
  document.title = shown(sign + report.agent + ' ' + report.state + ' · ' + report.instance);
  write(byId('agent'), report.agent);
  write(byId('state'), report.state);
  byId('state').className = 'pill ' + level;
  write(byId('summary'), sentence);
  byId('summary').className = level;
  write(byId('instance'), report.instance);
  write(byId('version'), report.version);
  const now = Date.parse(report.time);
  /** @param {string} iso */
  const ago = (iso) => moment(iso) + ' (' + span(now - Date.parse(iso)) + ' ago)';
  write(byId('since'), ago(report.since));
  write(byId('last-commit'), report.lastCommit === null ? 'none yet' : ago(report.lastCommit));
  byId('entries')
    .closest('div')
    ?.toggleAttribute('hidden', report.stateEntries === null);
  write(byId('entries'), count(report.stateEntries ?? 0));
}

const width = 200;
const height = 40;
const leastSamples = 40;
/**
 * @param {string} id
 * @param {readonly number[]} values
 * @param {string} unit
 * @param {RecentActivity} activity
 */
function chart(id, values, unit, { capacity, everySeconds }) {
  const figure = byId(id);
  const now = values.at(-1);
  const most = values.reduce((high, value) => Math.max(high, value), 0);
  write(find('b', figure), now === undefined ? '–' : rate(now) + unit);
  write(
    find('.peak', figure),
    now === undefined ? 'the first sample takes ' + everySeconds + ' s' : 'highest ' + rate(most),
  );
  // A process that is young gets more width for each sample.
  const room = Math.min(capacity, Math.max(values.length, leastSamples));
  /** @param {number} index */
  const x = (index) => (width * (room - values.length + index)) / (room - 1);
  /** @param {number} value */
  const y = (value) => height - (height * value) / Math.max(most, 1);
  const points = values.map((value, index) => x(index).toFixed(1) + ' ' + y(value).toFixed(1));
  const curve = points.length === 0 ? '' : 'M' + points.join('L');
  find('.curve', figure).setAttribute('d', curve);
  find('.area', figure).setAttribute('d', curve === '' ? '' : curve + 'V' + height + 'H' + x(0).toFixed(1) + 'Z');
  const minutes = Math.round((room * everySeconds) / 60);
  write(find('.from', figure), minutes + ' min ago');
  const said = now === undefined ? 'no sample yet' : 'now ' + rate(now) + unit + ', highest ' + rate(most) + unit;
  find('svg', figure).setAttribute(
    'aria-label',
    find('.name', figure).textContent + ', the last ' + minutes + ' minutes: ' + said,
  );
}

/** @param {PartitionStatus} partition */
function progress({ restore }) {
  if (restore === undefined) return 'waits to be restored';
  const bar = make('progress', { max: Math.max(restore.end, 1), value: restore.offset, 'aria-label': 'restored' });
  return make('span', {}, bar, 'restoring: ' + many(restore.entries, 'entry', 'entries'));
}
/** @param {readonly PartitionStatus[]} partitions */
function assignment(partitions) {
  const sorted = [...partitions].sort((a, b) =>
    a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
  );
  fill(
    'assignment',
    sorted.map((each) =>
      make(
        'tr',
        {},
        rowHead(each.topic + ' / ' + each.partition, 'code'),
        cell(each.state === 'restoring' ? progress(each) : each.state),
        number(each.lag),
        offset(each.position),
        offset(each.end),
      ),
    ),
  );
}

/** @param {LedgerTotals} totals */
function ledger({ read, emitted, rekeyed, skipped, rejected }) {
  const figures = { read, emitted, rekeyed, skipped: total(skipped), rejected: total(rejected) };
  for (const [name, value] of Object.entries(figures)) write(byId('sum-' + name), count(value));
  /** @type {(kind: string, counts: Readonly<Record<string, number>>) => HTMLElement[]} */
  const rows = (kind, counts) =>
    Object.entries(counts)
      .sort(([, a], [, b]) => b - a)
      .map(([reason, value]) => make('tr', {}, rowHead(reason, 'code'), cell(kind), number(value)));
  fill('reasons', [...rows('rejected', rejected), ...rows('skipped', skipped)]);
}

/** @param {readonly RecentReject[]} list */
function rejects(list) {
  fill(
    'rejects',
    list.map((reject) =>
      make(
        'tr',
        {},
        cell(moment(reject.time), 'time'),
        cell(reject.tenant, 'code free'),
        cell(reject.reason, 'code'),
        cell(reject.topic + ' / ' + reject.partition, 'code'),
        offset(reject.offset),
      ),
    ),
  );
}

/** @param {StatusReport} report */
function draw(report) {
  head(report);
  const { activity } = report;
  chart('in', activity.readPerSecond, '/s', activity);
  chart('out', activity.outputsPerSecond, '/s', activity);
  chart('rejected', activity.rejectedPerSecond, '/s', activity);
  chart('lag', activity.lag, '', activity);
  part('assignment', report.assignment, assignment);
  part('ledger', report.ledger, ledger);
  part('rejects', report.rejects, rejects);
}

// --- configuration: fetched when its part is opened -------------------------------------------

async function config() {
  if (document.querySelector('#config[open]') === null) return;
  const answer = await fetch('config', { cache: 'no-store', signal: AbortSignal.timeout(timeoutMs) });
  if (!answer.ok) throw new Error('/config answers ' + answer.status);
  /** @type {Readonly<Record<string, { value: unknown, source: string }>>} */
  const settings = await answer.json();
  part('config', Object.entries(settings), (rows) => {
    find('#config tbody').replaceChildren(
      ...rows.map(([name, { value, source }]) =>
        make(
          'tr',
          { class: source === 'default' ? '' : 'given' },
          rowHead(name, 'code'),
          cell(typeof value === 'string' ? value : JSON.stringify(value), 'code free'),
          cell(source),
        ),
      ),
    );
  });
}

// --- polling ----------------------------------------------------------------------------------

function answered() {
  lastAnswer = Date.now();
  document.body.classList.remove('stale');
  byId('lost').hidden = true;
}
/** @param {unknown} error */
function problemOf(error) {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (name === 'TimeoutError') return 'it takes longer than ' + timeoutMs / 1000 + ' s';
  return name === 'TypeError' ? 'there is no connection' : message;
}
/** @param {string} problem */
function lost(problem) {
  document.body.classList.add('stale');
  byId('lost').hidden = false;
  document.title = '!! no answer · ' + shown(byId('agent').textContent);
  const since = moment(new Date(lastAnswer).toISOString());
  write(
    byId('lost'),
    'The agent has not answered since ' +
      since +
      ': ' +
      problem +
      '. What is below is of that time. This page keeps asking.',
  );
}
async function poll() {
  clearTimeout(timer);
  if (document.hidden) return;
  const wasLost = !byId('lost').hidden;
  try {
    const answer = await fetch('status.json', { cache: 'no-store', signal: AbortSignal.timeout(timeoutMs) });
    if (!answer.ok) throw new Error('it answers with the error ' + answer.status);
    draw(await answer.json());
    answered();
    if (wasLost) await config();
  } catch (error) {
    lost(problemOf(error));
  }
  clearTimeout(timer);
  timer = setTimeout(() => void poll(), pollMs);
}

draw(JSON.parse(byId('report').textContent));
answered();
document.addEventListener('visibilitychange', () => void poll());
byId('config').addEventListener('toggle', () => void config().catch((error) => lost(problemOf(error))));
timer = setTimeout(() => void poll(), pollMs);
