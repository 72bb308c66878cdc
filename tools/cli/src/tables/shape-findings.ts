/** What is wrong with the records themselves, whatever the database is. */
import { mergedKind } from './column-type.js';
import { counted } from './counted.js';
import type { Finding } from './finding.js';
import { isPlain, nameProblem, shownTable } from './names.js';
import { isErrorLog, type ColumnShape, type Shapes, type TableShape, type UnusableRecords } from './shapes.js';
import { clipped, printable, quoted } from '../terminal/text.js';

const MAX_NAMES = 5;

export function shapeFindings({ tables, unusable }: Shapes): Finding[] {
  const routed = new Set(tables.flatMap(({ topics }) => topics));
  return [
    ...unusable.map((records) => unusableFinding(records, routed.has(records.topic))),
    ...tables.flatMap((table) => [
      ...tableFindings(table),
      ...table.columns.flatMap((column) => [...columnFindings(table, column)]),
    ]),
  ];
}

/** @param routed whether the topic has records for a sink as well: else it may just be none of the agents' */
function unusableFinding({ topic, kind, count, example }: UnusableRecords, routed: boolean): Finding {
  const records = `${counted(count, 'record')} of ${printable(topic)}`;
  return kind === 'unrouted'
    ? {
        level: routed ? 'warning' : 'note',
        code: 'record-unrouted',
        message: `${records} cannot be routed: ${example}`,
        advice: routed
          ? 'who else writes to the topic? The connector cannot route these'
          : 'is it a topic of the agents at all?',
      }
    : {
        level: 'error',
        code: 'record-invalid',
        message: `${records} cannot be read: ${example}`,
        advice: 'who else writes to the topic? With errors.tolerance=all the connector dead-letters these',
      };
}

function* tableFindings(shape: TableShape): Generator<Finding> {
  const { table, keys, services, shared, columns } = shape;
  const name = shownTable(table);
  const keyed = keys.filter((key) => key.columns.length > 0);
  const unkeyed = keys.find((key) => key.columns.length === 0);
  if (unkeyed !== undefined && !isErrorLog(table)) {
    yield {
      level: 'error',
      code: 'key-missing',
      table,
      message: `${counted(unkeyed.records, 'record')} of ${name} without key`,
      advice: 'primary.key.mode=record_key needs one: who else writes to the topic?',
    };
  }
  if (keyed.length > 1) {
    const each = keyed.map((key) => `(${printable(key.columns.join(', '))}) in ${counted(key.records, 'record')}`);
    yield {
      level: 'error',
      code: 'key-conflict',
      table,
      message: `the records of ${name} have different keys: ${each.join(', ')}`,
      advice: 'a table has one key: let the agents write to tables of their own, by another data model or service path',
    };
  }
  if (shared !== undefined) {
    const [one, other] = shared.entities.map(printable);
    yield {
      level: 'warning',
      code: 'ids-shared',
      table,
      message: `${shared.count === 1 ? 'an id is' : `${shared.count} ids are`} shared by several entities, such as ${quoted(shared.id)} by (${one}) and (${other}): they overwrite each other's rows`,
      advice: 'choose a data model that keeps them apart (KAFNUS_DATAMODEL), or ids that differ',
    };
  } else if (services.length > 1) {
    yield {
      level: 'warning',
      code: 'services-share-table',
      table,
      message: `${services.length} services write to ${name}: ${listed(services)}`,
      advice: 'this data model is for one database per service: route each service to a connector of its own',
    };
  }
  const quotes = columns.map((column) => column.name).filter((column) => column.includes('"'));
  if (quotes.length > 0) {
    yield {
      level: 'error',
      code: 'name-needs-quotes',
      table,
      message: `${name} has names with a double quote, which the stock sink takes for the end of the name: ${listed(quotes)}`,
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

function* columnFindings({ table }: TableShape, column: ColumnShape): Generator<Finding> {
  const { name, kinds, facts, time } = column;
  const about = { table, column: name };
  const { kind, conflict } = mergedKind(column);
  if (conflict !== undefined && kind !== 'other') {
    const each = conflict.map((one) => `${one} in ${counted(kinds.get(one) ?? 0, 'row')}`).join(', ');
    yield {
      level: 'warning',
      code: 'types-conflict',
      ...about,
      message: `${quoted(name)} has values of different types: ${each}. Only text holds them all`,
      advice: 'let every sender use one type for the attribute, or one name for each type',
    };
  }
  if (time && facts.unread.instant !== undefined) {
    yield {
      level: 'error',
      code: 'value-invalid',
      ...about,
      message: `${quoted(name)} is a time, and '${facts.unread.instant}' is none`,
      advice: 'correct what the context broker sends; with KAFNUS_SINK=debezium the agent refuses such an entity',
    };
  }
  if (facts.unstorable !== undefined) {
    yield {
      level: 'error',
      code: 'value-invalid',
      ...about,
      message: `${quoted(name)} has a text with NUL or half a surrogate pair, '${facts.unstorable}', which PostgreSQL cannot store`,
      advice: 'correct what the context broker sends; with KAFNUS_SINK=debezium the agents write a null instead',
    };
  }
  if (facts.noGeometry !== undefined) {
    yield {
      level: 'error',
      code: 'value-invalid',
      ...about,
      message: `${quoted(name)} has a geometry that is no WKB: ${facts.noGeometry}`,
      advice: 'who else writes to the topic?',
    };
  }
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMES).map((name) => clipped(printable(name), 40));
  return names.length > MAX_NAMES ? `${shown.join(', ')} and ${names.length - MAX_NAMES} more` : shown.join(', ');
}
