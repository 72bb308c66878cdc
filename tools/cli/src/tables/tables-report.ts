/**
 * The output of the command: SQL with comments (plan), the changes (apply), the findings (check),
 * or JSON.
 */
import { levelCounts } from '@kafnus/kafka-admin';
import type { DatabaseCatalog } from './database-catalog.js';
import { changeSql, changeText, type TableChange } from './table-change.js';
import { counted } from '../terminal/text.js';
import { transactionHead } from './database.js';
import { sortedTableFindings, type TableFinding } from './table-finding.js';
import { quoteIdentifier, shownTable, tableKey, type TableName } from './sql-names.js';
import type { TablesPlan, TableState } from './plan-tables.js';
import { styleOf, type Style } from '../terminal/style.js';
import { table } from '../terminal/table.js';
import { grouped, printable, wrapped } from '../terminal/text.js';

export interface Report {
  readonly command: 'plan' | 'apply' | 'check';
  /** The topics or files that were read. */
  readonly source: { readonly topics: readonly string[]; readonly files: readonly string[]; readonly records: number };
  readonly catalog: DatabaseCatalog;
  readonly plan: TablesPlan;
}

const plain = styleOf(false);

/**
 * For `check`, everything that is missing is a finding too. `plan` and `apply` show it as changes.
 */
export function findingsOf({ command, plan }: Pick<Report, 'command' | 'plan'>): TableFinding[] {
  return sortedTableFindings(
    command === 'check' ? [...plan.changes.flatMap(missingFindings), ...plan.findings] : plan.findings,
  );
}

function missingFindings(change: TableChange): TableFinding[] {
  const advice = 'kafnus tables apply creates it; then restart the sink if it has failed';
  const lines = changeSql(change).split('\n');
  const sql = lines.map((line) => line.trim()).join(' ');
  switch (change.kind) {
    case 'extension':
      return [
        {
          level: 'error',
          code: 'postgis-missing',
          message: 'the database has no extension postgis, and the records have geometries',
          advice: 'kafnus tables apply creates it, if the user has the right',
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
        message: `there is no column ${quoteIdentifier(name)} (${type}): the sink stops at the first row that has it`,
        advice,
      }));
    case 'index':
      // Only a missing table has this change, and it has its own finding.
      return [];
  }
}

/** Whether there is no error and no warning. */
export function hasNoProblems(findings: readonly TableFinding[]): boolean {
  return findings.every(({ level }) => level === 'note');
}

/** SQL for psql. Everything else is in comments. */
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

/** The changes that were made, and the findings. */
export function applyText(report: Report, width: number, style: Style): string {
  const { plan } = report;
  const made = plan.changes.map(
    (change) => `${style.green(change.kind === 'columns' ? 'added' : 'created')} ${changeText(change)}`,
  );
  const restart = plan.changes.some(({ kind }) => kind !== 'index')
    ? ['', 'Restart sink tasks that have failed: POST /connectors/<name>/restart?includeTasks=true&onlyFailed=true']
    : [];
  return text(
    headLines(report),
    ['', ...(made.length > 0 ? made : [nothingToDo(report)])],
    restart,
    findingLines(findingsOf(report), width, style),
  );
}

/** The state of the tables, and the findings. */
export function checkText(report: Report, width: number, style: Style): string {
  const findings = findingsOf(report);
  const counts = levelCounts(findings);
  const verdict =
    report.plan.tables.length === 0
      ? nothingToDo(report)
      : hasNoProblems(findings)
        ? style.green(`the tables fit all records${counts.length > 0 ? ` (${counts.join(', ')})` : ''}`)
        : style.red(counts.join(', '));
  return text(headLines(report), ['', ...tableLines(report, width, style)], findingLines(findings, width, style), [
    '',
    verdict,
  ]);
}

/** The JSON output. */
export function jsonText(report: Report): string {
  const { command, source, catalog, plan } = report;
  const findings = findingsOf(report);
  return `${JSON.stringify({
    command,
    source,
    database: catalog.database,
    fits: hasNoProblems(findings),
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
      ? `${counted(records, 'record')} that the agents would write for ${files.map(printable).join(', ')}`
      : `${counted(records, 'record')} of ${counted(topics.length, 'topic')}`;
  const { database } = catalog;
  const where =
    database === null
      ? 'no database was named: an empty one is assumed'
      : `database ${printable(database.name)} on ${printable(database.server)} as ${printable(database.user)}`;
  return [`kafnus tables ${command}: ${from}`, where];
}

function nothingToDo({ plan }: Report): string {
  return plan.tables.length === 0
    ? 'no record has a target_table: there are no tables to plan'
    : 'nothing to do: every schema, table and column exists';
}

function tableLines(report: Report, width: number, style: Style): string[] {
  const findings = findingsOf(report);
  const rows = report.plan.tables.map((state) => {
    const { shape, columns } = state;
    const { text: status, good } = tableStatus(state, report, findings);
    return [
      { text: shownTable(shape.table) },
      {
        text:
          shape.tombstones > 0 ? `${grouped(shape.rows)} + ${grouped(shape.tombstones)} deleted` : grouped(shape.rows),
      },
      { text: String(columns.length) },
      { text: printable(shape.key.join(', ')) },
      { text: status, paint: good ? style.green : style.red },
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

function tableStatus(
  { shape, state }: TableState,
  { plan }: Report,
  findings: readonly TableFinding[],
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

function findingLines(findings: readonly TableFinding[], width: number, style: Style): string[] {
  const paint = { error: style.red, warning: style.yellow, note: style.dim };
  return findings.flatMap((finding) => {
    const { level, code, message, advice, sql } = finding;
    const indented = (content: string): string[] =>
      wrapped(content, width - indentation.length).map((line) => indentation + line);
    return [
      '',
      `${paint[level](level.padEnd(indentation.length - 1))} ${style.bold(place(finding))}  ${style.dim(code)}`,
      ...indented(`${message}.`),
      ...indented(`To do: ${advice}.`),
      // Not wrapped, so that it can be copied.
      ...(sql === undefined ? [] : [`${indentation}${sql}`]),
    ];
  });
}

const indentation = '         ';

function place({ table: name, column }: TableFinding): string {
  if (name === undefined) return 'all';
  return column === undefined ? shownTable(name) : `${shownTable(name)}.${printable(column)}`;
}

/** A comment of one line: a name from a record must not end it. */
function comment(line: string): string {
  return `-- ${printable(line)}`.trimEnd();
}

function text(...parts: readonly (readonly string[])[]): string {
  return `${parts.flat().join('\n')}\n`;
}
