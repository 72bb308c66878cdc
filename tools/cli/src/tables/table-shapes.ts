/** Collects the shapes of tables from records: their columns, types and keys. Pure. */
import { errorLogTable } from '@kafnus/ngsi-core';
import { readRow, type ColumnKind, type Field, type Row, type SinkRecord } from './connect-row.js';
import { StatisticsCollector, type ColumnStatistics } from './column-statistics.js';
import { tableKey, type TableName } from './sql-names.js';

export interface ColumnShape {
  readonly name: string;
  /** The number of rows with a value, by kind. */
  readonly kinds: ReadonlyMap<ColumnKind, number>;
  /** The kinds in the schemas of nulls. */
  readonly nullKinds: ReadonlySet<ColumnKind>;
  /** Rows with a value. */
  readonly values: number;
  /** Rows with a null. Other rows do not have the column. */
  readonly nulls: number;
  /** The Connect type of the first field of kind `other`. */
  readonly otherType: string | undefined;
  /**
   * Whether the column is a time by its name. For Kafnus's sinks the agents write it as text (SPEC
   * 3 and 7).
   */
  readonly time: boolean;
  readonly statistics: ColumnStatistics;
}

export interface TableShape {
  readonly table: TableName;
  readonly topics: readonly string[];
  /** Records with a value. */
  readonly rows: number;
  readonly tombstones: number;
  /** The key columns of most records; empty when most have no key. */
  readonly key: readonly string[];
  /** All keys with their numbers of records, the most frequent first; no columns mean no key. */
  readonly keys: readonly { readonly columns: readonly string[]; readonly records: number }[];
  /** Includes the key columns. In the order of SPEC 3, attributes by name. */
  readonly columns: readonly ColumnShape[];
  /** The fiware-service headers of its records. */
  readonly services: readonly string[];
  /**
   * The first id that different entities have, two of them as `service, service path, type`, and
   * the number of such ids.
   */
  readonly shared:
    { readonly id: string; readonly entities: readonly [string, string]; readonly count: number } | undefined;
}

/** Records of one topic that no sink can write. */
export interface UnusableRecords {
  readonly topic: string;
  readonly kind: 'unrouted' | 'invalid';
  readonly count: number;
  /** The problem of the first one. */
  readonly example: string;
}

export interface Shapes {
  readonly records: number;
  /** Sorted by schema and name. */
  readonly tables: readonly TableShape[];
  readonly unusable: readonly UnusableRecords[];
}

/** Bounds the memory for finding shared entity ids. */
const maxIds = 2_000_000;

/** The first columns of every row (SPEC 3). */
const leadingColumns = ['entityid', 'entitytype', 'fiwareservicepath', 'timeinstant'] as const;
const trailingColumn = 'recvtime';

export class ShapeCollector {
  readonly #tables = new Map<string, TableCollector>();
  readonly #unusable = new Map<
    string,
    { topic: string; kind: 'unrouted' | 'invalid'; count: number; example: string }
  >();
  readonly #memory: IdMemory = { left: maxIds };
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

  /** Adds the table of sink failures of each service (SPEC 7). */
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

/** Whether it is a table of sink failures, which has no key (SPEC 7). */
export function isErrorLog({ schema, name }: TableName): boolean {
  return name === errorLogTable(schema);
}

/** How many more ids may be stored. */
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
  /** The first entity of each id. */
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

  /** Adds columns of known types that have no value. */
  declare(columns: Readonly<Record<string, ColumnKind>>): void {
    for (const [name, kind] of Object.entries(columns)) this.#column(name).declare(kind);
  }

  shape(): TableShape {
    const keys = [...this.#keys.values()].sort((a, b) => b.records - a.records);
    // With tombstones only, the columns that every row has are added (SPEC 3).
    if (this.#rows === 0 && this.#columns.has('entityid')) {
      this.declare({ entitytype: 'text', fiwareservicepath: 'text', [trailingColumn]: 'instant' });
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
    return name === 'timeinstant' || name === trailingColumn || (name === 'timestamp' && isErrorLog(this.#table));
  }

  /**
   * Service, service path, type and id identify an entity (SPEC 4), but the id alone identifies its
   * row in a table.
   */
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
  readonly statistics = new StatisticsCollector();
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
    this.statistics.add(field);
  }

  declare(kind: ColumnKind): void {
    this.nullKinds.add(kind);
  }
}

/** Sorts columns in the order of SPEC 3, attributes by name. */
function columnPlace({ name, time }: ColumnShape): string {
  const leading = (leadingColumns as readonly string[]).indexOf(name);
  if (leading >= 0) return `0${leading}`;
  return name === trailingColumn ? '2' : time ? '0' : `1${name}`;
}
