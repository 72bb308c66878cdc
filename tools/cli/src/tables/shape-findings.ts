/** Findings about the records, which do not depend on the database. */
import { mergedKind } from './column-type.js';
import { counted, excerpt, printable, quoted } from '../terminal/text.js';
import type { TableFinding } from './table-finding.js';
import { isPlain, nameProblem, shownTable } from './sql-names.js';
import { isErrorLog, type ColumnShape, type Shapes, type TableShape, type UnusableRecords } from './table-shapes.js';

const maxNames = 5;

export function shapeFindings({ tables, unusable }: Shapes): TableFinding[] {
  const routed = new Set(tables.flatMap(({ topics }) => topics));
  return [
    ...unusable.map((records) => unusableFinding(records, routed.has(records.topic))),
    ...tables.flatMap((table) => [
      ...tableFindings(table),
      ...table.columns.flatMap((column) => [...columnFindings(table, column)]),
    ]),
  ];
}

/**
 * @param routed whether the topic also has records for a sink; else it may be no topic of the
 * agents
 */
function unusableFinding({ topic, kind, count, example }: UnusableRecords, routed: boolean): TableFinding {
  const records = `${counted(count, 'record')} of ${printable(topic)}`;
  return kind === 'unrouted'
    ? {
        level: routed ? 'warning' : 'note',
        code: 'record-unrouted',
        message: `${records} cannot be routed: ${example}`,
        advice: routed
          ? 'find out who else writes to the topic: the connector cannot route these records'
          : 'check that it is a topic of the agents',
      }
    : {
        level: 'error',
        code: 'record-invalid',
        message: `${records} cannot be read: ${example}`,
        advice:
          'find out who else writes to the topic: with errors.tolerance=all, the connector writes these to its dead-letter topic',
      };
}

function* tableFindings(shape: TableShape): Generator<TableFinding> {
  const { table, keys, services, shared, columns } = shape;
  const name = shownTable(table);
  const keyed = keys.filter((key) => key.columns.length > 0);
  const unkeyed = keys.find((key) => key.columns.length === 0);
  if (unkeyed !== undefined && !isErrorLog(table)) {
    yield {
      level: 'error',
      code: 'key-missing',
      table,
      message: `${counted(unkeyed.records, 'record')} of ${name} have no key`,
      advice: 'primary.key.mode=record_key needs one: find out who else writes to the topic',
    };
  }
  if (keyed.length > 1) {
    const each = keyed.map((key) => `(${printable(key.columns.join(', '))}) in ${counted(key.records, 'record')}`);
    yield {
      level: 'error',
      code: 'key-conflict',
      table,
      message: `the records of ${name} have different keys: ${each.join(', ')}`,
      advice: 'a table has one key: separate the tables of the agents, with another data model or service path',
    };
  }
  if (shared !== undefined) {
    const [one, other] = shared.entities.map(printable);
    yield {
      level: 'warning',
      code: 'ids-shared',
      table,
      message: `${shared.count === 1 ? 'an id is' : `${shared.count} ids are`} shared by several entities, such as ${quoted(shared.id)} by (${one}) and (${other}): they overwrite each other's rows`,
      advice: 'use a data model that gives them different tables (KAFNUS_DATAMODEL), or different ids',
    };
  } else if (services.length > 1) {
    yield {
      level: 'warning',
      code: 'services-share-table',
      table,
      message: `${services.length} services write to ${name}: ${listed(services)}`,
      advice: 'this data model is for one database per service: use one connector per service',
    };
  }
  const quotes = columns.map((column) => column.name).filter((column) => column.includes('"'));
  if (quotes.length > 0) {
    yield {
      level: 'error',
      code: 'name-needs-quotes',
      table,
      message: `${name} has names with a double quote, which ends the name in the SQL of the Debezium sink: ${listed(quotes)}`,
      advice: 'rename the attribute; with KAFNUS_SINK=debezium the agents leave it out',
    };
  }
  const unusual = columns
    .map((column) => column.name)
    .filter((column) => !isPlain(column) && nameProblem('column', column) === undefined);
  if (unusual.length > 0 || !isPlain(table.name) || !isPlain(table.schema)) {
    const what = [table.schema, table.name].filter((each) => !isPlain(each));
    yield {
      level: 'note',
      code: 'name-needs-quotes',
      table,
      message: `${name} has names that need quotes: ${listed([...what, ...unusual])}`,
      advice: 'set quote.identifiers to true in the connector',
    };
  }
}

function* columnFindings({ table }: TableShape, column: ColumnShape): Generator<TableFinding> {
  const { name, kinds, statistics, time } = column;
  const about = { table, column: name };
  const { kind, conflict } = mergedKind(column);
  if (conflict !== undefined && kind !== 'other') {
    const each = conflict.map((one) => `${one} in ${counted(kinds.get(one) ?? 0, 'row')}`).join(', ');
    yield {
      level: 'warning',
      code: 'types-conflict',
      ...about,
      message: `${quoted(name)} has values of different types: ${each}. Only text can store all of them`,
      advice: 'use one type for the attribute in all context producers, or one name for each type',
    };
  }
  if (time && statistics.unread.instant !== undefined) {
    yield {
      level: 'error',
      code: 'value-invalid',
      ...about,
      message: `${quoted(name)} is a time, and '${statistics.unread.instant}' is not`,
      advice: 'correct the values in the context broker; with KAFNUS_SINK=debezium the agent refuses such an entity',
    };
  }
  if (statistics.unstorable !== undefined) {
    yield {
      level: 'error',
      code: 'value-invalid',
      ...about,
      message: `${quoted(name)} has a text with NUL or half a surrogate pair, '${statistics.unstorable}', which PostgreSQL cannot store`,
      advice: 'correct the values in the context broker; with KAFNUS_SINK=debezium the agents write null instead',
    };
  }
  if (statistics.noGeometry !== undefined) {
    yield {
      level: 'error',
      code: 'value-invalid',
      ...about,
      message: `${quoted(name)} has a geometry that is not WKB: ${statistics.noGeometry}`,
      advice: 'find out who else writes to the topic',
    };
  }
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, maxNames).map((name) => excerpt(name, 40));
  return names.length > maxNames ? `${shown.join(', ')} and ${names.length - maxNames} more` : shown.join(', ');
}
