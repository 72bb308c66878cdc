/** What the command prints: SQL with comments (plan), what was done (apply), what does not fit (check), or JSON. */
import type { Catalog } from './catalog.js';
import { changeSql, changeText, type Change } from './change.js';
import { counted } from './counted.js';
import { transactionHead } from './database.js';
import { levels, sortedFindings, type Finding } from './finding.js';
import { quoteIdentifier, shownTable, tableKey, type TableName } from './names.js';
import type { Plan, TableState } from './plan.js';
import { styleOf, type Style } from '../terminal/style.js';
import { table } from '../terminal/table.js';
import { grouped, printable, wrapped } from '../terminal/text.js';

/** All that is to be told. */
export interface Report {
  readonly command: 'plan' | 'apply' | 'check';
  /** Where the shapes come from: topics, or files. */
  readonly source: { readonly topics: readonly string[]; readonly files: readonly string[]; readonly records: number };
  readonly catalog: Catalog;
  readonly plan: Plan;
}

const plain = styleOf(false);

/** What is missing is a finding for `check`; for `plan` and `apply` it is what they are about. */
export function findingsOf({ command, plan }: Pick<Report, 'command' | 'plan'>): Finding[] {
  return sortedFindings(command === 'check' ? [...plan.changes.flatMap(missing), ...plan.findings] : plan.findings);
}

function missing(change: Change): Finding[] {
  const advice = 'kafnus tables apply makes it; a sink that has stopped must be restarted then';
  const lines = changeSql(change).split('\n');
  const sql = lines.map((line) => line.trim()).join(' ');
  switch (change.kind) {
    case 'extension':
      return [
        {
          level: 'error',
          code: 'postgis-missing',
          message: 'the database has no extension postgis, and geometries flow',
          advice: 'kafnus tables apply makes it, if the user may',
          sql,
        },
      ];
    case 'schema':
      return [
        {
          level: 'error',
          code: 'schema-missing',
          message: `there is no schema ${quoteIdentifier(change.schema)}`,
          advice,
          sql,
        },
      ];
    case 'table':
      return [
        {
          level: 'error',
          code: 'table-missing',
          table: change.table,
          message: `there is no table ${shownTable(change.table)}: the sink stops at its first row`,
          advice: `${advice}; kafnus tables plan shows it`,
        },
      ];
    case 'columns':
      return change.columns.map(({ name, type }) => ({
        level: 'error',
        code: 'column-missing',
        table: change.table,
        column: name,
        message: `there is no column ${quoteIdentifier(name)} (${type} would fit): the sink stops at the first row that has it`,
        advice,
      }));
    case 'index':
      // Of a table that is missing as a whole.
      return [];
  }
}

/** Whether `check` finds something that a row fails at, or that is not stored as it came. */
export function fits(findings: readonly Finding[]): boolean {
  return findings.every(({ level }) => level === 'note');
}

/** SQL that a person can read and psql can run: everything else is in comments. */
export function planText(report: Report): string {
  const { plan } = report;
  const findings = findingsOf(report);
  const lines = [
    ...headLines(report).map(comment),
    ...(plan.tables.length > 0 ? ['--', ...tableLines(report, 96, plain).map(comment)] : []),
    ...findingLines(findings, 96, plain).map(comment),
    '',
  ];
  if (plan.changes.length === 0) lines.push(comment(nothingToDo(report)));
  else lines.push(...transactionHead, ...plan.changes.flatMap((change) => ['', changeSql(change)]), '', 'COMMIT;');
  return `${lines.join('\n')}\n`;
}

/** What was done, and what is left for a person. */
export function applyText(report: Report, width: number, style: Style): string {
  const { plan } = report;
  const made = plan.changes.map(
    (change) => `${style.green(change.kind === 'columns' ? 'added' : 'created')} ${changeText(change)}`,
  );
  const restart = plan.changes.some(({ kind }) => kind !== 'index')
    ? [
        '',
        'A sink task that has failed goes on after a restart: POST /connectors/<name>/restart?includeTasks=true&onlyFailed=true',
      ]
    : [];
  return text(
    headLines(report),
    ['', ...(made.length > 0 ? made : [nothingToDo(report)])],
    restart,
    findingLines(findingsOf(report), width, style),
  );
}

/** How the tables stand, and what does not fit. */
export function checkText(report: Report, width: number, style: Style): string {
  const findings = findingsOf(report);
  const counts = levels
    .map((level) => ({ level, count: findings.filter((finding) => finding.level === level).length }))
    .filter(({ count }) => count > 0)
    .map(({ level, count }) => `${count} ${level}${count === 1 ? '' : 's'}`);
  const verdict =
    report.plan.tables.length === 0
      ? nothingToDo(report)
      : fits(findings)
        ? style.green(`everything that flows fits${counts.length > 0 ? ` (${counts.join(', ')})` : ''}`)
        : style.red(counts.join(', '));
  return text(headLines(report), ['', ...tableLines(report, width, style)], findingLines(findings, width, style), [
    '',
    verdict,
  ]);
}

/** Everything, for scripts. */
export function jsonText(report: Report): string {
  const { command, source, catalog, plan } = report;
  const findings = findingsOf(report);
  return `${JSON.stringify({
    command,
    source,
    database: catalog.database,
    fits: fits(findings),
    applied: command === 'apply' && plan.changes.length > 0,
    tables: plan.tables.map(({ shape, state, columns }) => ({
      ...shape.table,
      state,
      topics: shape.topics,
      rows: shape.rows,
      tombstones: shape.tombstones,
      key: shape.key,
      columns,
    })),
    statements: plan.changes.map(changeSql),
    findings: findings.map(({ table: name, ...finding }) => ({ ...finding, table: name ?? null })),
  })}\n`;
}

function headLines({ command, source, catalog }: Report): string[] {
  const { topics, files, records } = source;
  const from =
    files.length > 0
      ? `${counted(records, 'record')} that the agents make of ${files.map(printable).join(', ')}`
      : `${counted(records, 'record')} of ${counted(topics.length, 'topic')}`;
  const { database } = catalog;
  const where =
    database === null
      ? 'no database was named: planned for an empty one'
      : `database ${printable(database.name)} on ${printable(database.server)} as ${printable(database.user)}`;
  return [`kafnus tables ${command}: ${from}`, where];
}

function nothingToDo({ plan }: Report): string {
  return plan.tables.length === 0
    ? 'no record has a target_table: nothing to say about tables'
    : 'nothing to do: every schema, table and column is there';
}

function tableLines(report: Report, width: number, style: Style): string[] {
  const findings = findingsOf(report);
  const rows = report.plan.tables.map((state) => {
    const { shape, columns } = state;
    const { text: how, good } = standing(state, report, findings);
    return [
      { text: shownTable(shape.table) },
      {
        text:
          shape.tombstones > 0 ? `${grouped(shape.rows)} + ${grouped(shape.tombstones)} deleted` : grouped(shape.rows),
      },
      { text: String(columns.length) },
      { text: printable(shape.key.join(', ')) },
      { text: how, paint: good ? style.green : style.red },
    ];
  });
  return table(
    [
      { title: 'table', shrinks: 'wrap' },
      { title: 'rows', align: 'right' },
      { title: 'columns', align: 'right' },
      { title: 'key' },
      { title: report.command === 'check' ? 'fits' : 'now' },
    ],
    rows,
    width,
    style,
  );
}

function standing(
  { shape, state }: TableState,
  { plan }: Report,
  findings: readonly Finding[],
): { readonly text: string; readonly good: boolean } {
  if (state === 'missing') return { text: 'missing', good: false };
  const own = findings.filter(
    (finding) => finding.table && same(finding.table, shape.table) && finding.level !== 'note',
  );
  const added = plan.changes.flatMap((change) =>
    change.kind === 'columns' && same(change.table, shape.table) ? change.columns : [],
  );
  if (added.length > 0) return { text: `${counted(added.length, 'column')} missing`, good: false };
  if (own.length > 0) return { text: counted(own.length, 'finding'), good: false };
  return { text: 'yes', good: true };
}

function same(one: TableName, other: TableName): boolean {
  return tableKey(one) === tableKey(other);
}

function findingLines(findings: readonly Finding[], width: number, style: Style): string[] {
  const paint = { error: style.red, warning: style.yellow, note: style.dim };
  return findings.flatMap((finding) => {
    const { level, code, message, advice, sql } = finding;
    const indented = (content: string): string[] =>
      wrapped(content, width - INDENT.length).map((line) => INDENT + line);
    return [
      '',
      `${paint[level](level.padEnd(INDENT.length - 1))} ${style.bold(place(finding))}  ${style.dim(code)}`,
      ...indented(`${message}.`),
      ...indented(`To do: ${advice}.`),
      // Not broken: it is to be copied.
      ...(sql === undefined ? [] : [`${INDENT}${sql}`]),
    ];
  });
}

const INDENT = '         ';

function place({ table: name, column }: Finding): string {
  if (name === undefined) return 'all';
  return column === undefined ? shownTable(name) : `${shownTable(name)}.${printable(column)}`;
}

/** One line, whatever is in it: what comes from records must not end a comment. */
function comment(line: string): string {
  return `-- ${printable(line)}`.trimEnd();
}

function text(...parts: readonly (readonly string[])[]): string {
  return `${parts.flat().join('\n')}\n`;
}
