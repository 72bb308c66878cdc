/** From records to the shapes of tables: which columns, of which types, under which key. Pure: records in, shapes out. */
import { errorLogTable } from '@kafnus/ngsi-core';
import { readRow, type ColumnKind, type Field, type Row, type SinkRecord } from './connect-row.js';
import { FactCollector, type Facts } from './facts.js';
import { tableKey, type TableName } from './names.js';

export interface ColumnShape {
  readonly name: string;
  /** Rows with a value, by what it means to a database. */
  readonly kinds: ReadonlyMap<ColumnKind, number>;
  /** The types that the schemas of nulls name. */
  readonly nullKinds: ReadonlySet<ColumnKind>;
  /** Rows with a value. */
  readonly values: number;
  /** Rows with a null. A row may also leave the column out. */
  readonly nulls: number;
  /** The Connect type of kind `other`, as it is written. */
  readonly otherType: string | undefined;
  /** Whether its texts are times by what the column is: SPEC 3 and 7 have them as plain text for Kafnus's sinks. */
  readonly time: boolean;
  readonly facts: Facts;
}

export interface TableShape {
  readonly table: TableName;
  readonly topics: readonly string[];
  /** Records with a value. */
  readonly rows: number;
  readonly tombstones: number;
  /** The key columns of most records; empty when most have no key. */
  readonly key: readonly string[];
  /** Every key that was seen, the most frequent first, with the number of records; [] is "no key". */
  readonly keys: readonly { readonly columns: readonly string[]; readonly records: number }[];
  /** Key columns included; in the order in which a person would put them. */
  readonly columns: readonly ColumnShape[];
  /** Services of its records. */
  readonly services: readonly string[];
  /** An entity id that entities share, with two of them as `service, service path, type`, and how many such ids were seen. */
  readonly shared:
    { readonly id: string; readonly entities: readonly [string, string]; readonly count: number } | undefined;
}

/** Records that no sink could write, of one topic. */
export interface UnusableRecords {
  readonly topic: string;
  readonly kind: 'unrouted' | 'invalid';
  readonly count: number;
  /** What was the matter with the first. */
  readonly example: string;
}

export interface Shapes {
  readonly records: number;
  /** Sorted by schema and name. */
  readonly tables: readonly TableShape[];
  readonly unusable: readonly UnusableRecords[];
}

/** Entity ids that are remembered to tell whether entities share one: bounds memory, and is more than one look needs. */
const MAX_IDS = 2_000_000;

/** SPEC 3: the columns that every row of an entity begins with; a tombstone tells nothing of them. */
const LEADING = ['entityid', 'entitytype', 'fiwareservicepath', 'timeinstant'] as const;
const TRAILING = 'recvtime';

export class ShapeCollector {
  readonly #tables = new Map<string, TableCollector>();
  readonly #unusable = new Map<
    string,
    { topic: string; kind: 'unrouted' | 'invalid'; count: number; example: string }
  >();
  readonly #memory: IdMemory = { left: MAX_IDS };
  #records = 0;

  add(record: SinkRecord): void {
    this.#records += 1;
    const row = readRow(record);
    if (row.kind !== 'row') {
      const name = `${row.kind} ${record.topic}`;
      const known = this.#unusable.get(name);
      if (known) known.count += 1;
      else this.#unusable.set(name, { topic: record.topic, kind: row.kind, count: 1, example: row.message });
      return;
    }
    this.#table(row.table).add(row, record.topic);
  }

  /** A table for the log of a tenant's sink failures, as if one had come (SPEC 7). */
  addErrorLogs(): void {
    const services = [...this.#tables.values()].flatMap(({ services }) => [...services]).filter((name) => name !== '');
    for (const service of new Set(services)) {
      const log = this.#table({ schema: service, name: errorLogTable(service) });
      log.declare({ timestamp: 'instant', error: 'text', query: 'text' });
    }
  }

  shapes(): Shapes {
    return {
      records: this.#records,
      tables: [...this.#tables.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, table]) => table.shape()),
      unusable: [...this.#unusable.values()],
    };
  }

  #table(name: TableName): TableCollector {
    const key = tableKey(name);
    let table = this.#tables.get(key);
    if (table === undefined) this.#tables.set(key, (table = new TableCollector(name, this.#memory)));
    return table;
  }
}

/** Whether the table is a log of sink failures: without key, appended to (SPEC 7). */
export function isErrorLog({ schema, name }: TableName): boolean {
  return name === errorLogTable(schema);
}

interface IdMemory {
  left: number;
}

class TableCollector {
  readonly services = new Set<string>();
  readonly #table: TableName;
  readonly #memory: IdMemory;
  readonly #topics = new Set<string>();
  readonly #columns = new Map<string, ColumnCollector>();
  readonly #keys = new Map<string, { columns: readonly string[]; records: number }>();
  /** Who has an id; once it is shared, the one who had it first. */
  readonly #owners = new Map<string, string>();
  readonly #sharedIds = new Set<string>();
  #shared: { id: string; entities: readonly [string, string] } | undefined;
  #rows = 0;
  #tombstones = 0;

  constructor(table: TableName, memory: IdMemory) {
    this.#table = table;
    this.#memory = memory;
  }

  add(row: Row, topic: string): void {
    this.#topics.add(topic);
    this.services.add(row.service);
    const { key, columns } = row;
    const names = (key ?? []).map(({ name }) => name);
    const text = JSON.stringify(names);
    const known = this.#keys.get(text);
    if (known) known.records += 1;
    else this.#keys.set(text, { columns: names, records: 1 });

    if (columns === null) {
      this.#tombstones += 1;
      for (const field of key ?? []) this.#column(field.name).declare(field.kind);
      return;
    }
    this.#rows += 1;
    for (const field of columns) this.#column(field.name).add(field);
    for (const field of key ?? []) {
      if (!columns.some(({ name }) => name === field.name)) this.#column(field.name).add(field);
    }
    this.#remember(row, columns);
  }

  /** Columns whose types are known, without a value. */
  declare(columns: Readonly<Record<string, ColumnKind>>): void {
    for (const [name, kind] of Object.entries(columns)) this.#column(name).declare(kind);
  }

  shape(): TableShape {
    const keys = [...this.#keys.values()].sort((a, b) => b.records - a.records);
    // Only deletions so far: the rows that are to come have these (SPEC 3).
    if (this.#rows === 0 && this.#columns.has('entityid')) {
      this.declare({ entitytype: 'text', fiwareservicepath: 'text', [TRAILING]: 'instant' });
    }
    return {
      table: this.#table,
      topics: [...this.#topics].sort(),
      rows: this.#rows,
      tombstones: this.#tombstones,
      key: keys[0]?.columns ?? [],
      keys,
      columns: [...this.#columns.values()].sort((a, b) => (columnPlace(a) < columnPlace(b) ? -1 : 1)),
      services: [...this.services].sort(),
      shared: this.#shared && { ...this.#shared, count: this.#sharedIds.size },
    };
  }

  #column(name: string): ColumnCollector {
    let column = this.#columns.get(name);
    if (column === undefined) this.#columns.set(name, (column = new ColumnCollector(name, this.#isTime(name))));
    return column;
  }

  #isTime(name: string): boolean {
    return name === 'timeinstant' || name === TRAILING || (name === 'timestamp' && isErrorLog(this.#table));
  }

  /** Entities are told apart by service, service path, type and id (SPEC 4); rows of a table by their id alone. */
  #remember(row: Row, columns: readonly Field[]): void {
    const text = (name: string): string | undefined => {
      const value = columns.find((column) => column.name === name)?.value;
      return typeof value === 'string' ? value : undefined;
    };
    const [id, type, path] = [text('entityid'), text('entitytype'), text('fiwareservicepath')];
    if (id === undefined || type === undefined) return;
    const entity = `${row.service}, ${path ?? ''}, ${type}`;
    const owner = this.#owners.get(id);
    if (owner === undefined) {
      if (this.#memory.left <= 0) return;
      this.#memory.left -= 1;
      this.#owners.set(id, entity);
    } else if (owner !== entity) {
      this.#sharedIds.add(id);
      this.#shared ??= { id, entities: [owner, entity] };
    }
  }
}

class ColumnCollector implements ColumnShape {
  readonly kinds = new Map<ColumnKind, number>();
  readonly nullKinds = new Set<ColumnKind>();
  readonly facts = new FactCollector();
  values = 0;
  nulls = 0;
  otherType: string | undefined;

  constructor(
    readonly name: string,
    readonly time: boolean,
  ) {}

  add(field: Field): void {
    if (field.kind === 'other') this.otherType ??= field.type;
    if (field.value === null) {
      this.nulls += 1;
      this.nullKinds.add(field.kind);
      return;
    }
    this.values += 1;
    this.kinds.set(field.kind, (this.kinds.get(field.kind) ?? 0) + 1);
    this.facts.add(field);
  }

  /** The type is known, and no value. */
  declare(kind: ColumnKind): void {
    this.nullKinds.add(kind);
  }
}

/** The order of SPEC 3, and between its base columns the attributes by name: the same whatever came first. */
function columnPlace({ name, time }: ColumnShape): string {
  const leading = (LEADING as readonly string[]).indexOf(name);
  if (leading >= 0) return `0${leading}`;
  return name === TRAILING ? '2' : time ? '0' : `1${name}`;
}
