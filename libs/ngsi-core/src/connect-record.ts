/**
 * Writes entities as Kafka Connect JSON (schema and payload). The text is built directly and the
 * schemas are cached: most of a record is its schema, and most entities of a tenant share one.
 */
import {
  cellConverter,
  columnTypes,
  textConverter,
  type Cell,
  type CellProblem,
  type ColumnType,
  type Sink,
} from './attribute.js';
import { MatchedEntity, type RowMaker, type TemplateColumn } from './entity-template.js';
import { parseInstant, zonedText } from './instant.js';
import { isObject, type Entity } from './notification.js';
import { columnNameProblem, isStorableDate, textProblem } from './storable.js';
import { BoundedMap, quoted, shown } from './text.js';

/** The value of a record, and the attributes that are missing from it or null. */
interface Row {
  readonly value: string;
  readonly problems: readonly CellProblem[];
}

/** Writes the keys and values of one agent. Instants are the results of `instantText`. */
export interface RecordWriter {
  /**
   * The text of a TimeInstant for this sink; undefined when the sink needs a date and the text is
   * not one. Kafnus's sinks get the text as received.
   */
  instantText(received: string): string | undefined;
  /** Why the sink cannot write a row of this entity; undefined when it can. */
  identityProblem(entity: Entity, servicepath: string): string | undefined;
  /** @param instant the second part of the key; undefined when the key is the entity id alone */
  key(entity: Entity, instant: string | undefined): string;
  /**
   * @param instant the value of the column timeinstant, or undefined. An entity without that
   *   attribute gets it as its first one (missingTimeInstant=record-timestamp).
   */
  row(entity: Entity, instant: string | undefined, servicepath: string, recvtime: string): Row;
  /** Makes the parts of a row that are the same for all entities that differ only in values. */
  readonly rowTemplate: RowMaker;
}

/** The schema of entities with the same attributes of the same types, and how to fill it. */
interface Shape {
  /** What identifies the shape: attribute names, column types, and which values are null. */
  readonly names: readonly string[];
  readonly types: readonly ColumnType[];
  readonly nulls: readonly boolean[];
  readonly schema: string;
  /** For each attribute `,"name":`; undefined for one without a column, and for a leading one. */
  readonly labels: readonly (string | undefined)[];
  /** Columns that come before the base columns: see {@link isArrayIndex}. */
  readonly leading: readonly { readonly place: number; readonly label: string }[];
  /** The attributes, by their place, that have no column because of their names. */
  readonly unnamed: ReadonlyMap<number, CellProblem>;
}

/** Lower-cased names that no attribute may take. */
const baseColumns: readonly string[] = ['entityid', 'entitytype', 'fiwareservicepath', 'recvtime'];
/** Orion's attribute that describes the notification and not the entity (SPEC 3): no column. */
const alterationType = 'alterationtype';
const noProblems: readonly CellProblem[] = [];
/**
 * Bounds of the cache of shapes: entity types, shapes of each type (the most recent ones), and
 * the bytes of all shapes together. A schema longer than `maxSchemaLength` is not cached.
 */
const maxEntityTypes = 1000;
const maxShapesPerType = 16;
const maxSchemaLength = 20_000;
const maxWeight = 20_000_000;

/** @param sink the sink whose record format is written */
export function recordWriter(sink: Sink): RecordWriter {
  const types = columnTypes[sink];
  const toCell = cellConverter(types);
  const noInstant: Cell = { type: types.instant, json: 'null' };
  const idField = field('entityid', types.string.schema, false);
  const keyById = `{"schema":${struct([idField])},"payload":{"entityid":`;
  const keyByIdAndInstant = `{"schema":${struct([idField, field('timeinstant', types.instant.schema, false)])},"payload":{"entityid":`;

  const newShape = (names: readonly string[], cells: readonly Cell[]): Shape => {
    const taken = new Set(baseColumns);
    const fields = [
      idField,
      field('entitytype', types.string.schema, false),
      field('fiwareservicepath', types.string.schema, false),
    ];
    const leadingFields: string[] = [];
    const leading: { place: number; label: string }[] = [];
    const labels: (string | undefined)[] = [];
    const unnamed = new Map<number, CellProblem>();
    cells.forEach((cell, place) => {
      const column = (names[place] ?? '').toLowerCase();
      const nameProblem = types.storable ? columnNameProblem(column) : undefined;
      if (column === alterationType) {
        labels.push(undefined);
      } else if (nameProblem !== undefined) {
        labels.push(undefined);
        unnamed.set(place, { code: 'name-invalid', message: `its column name ${shown(column)} ${nameProblem}` });
      } else if (taken.has(column)) {
        labels.push(undefined);
        const owner = baseColumns.includes(column) ? 'is that of a base column' : 'is that of an attribute before it';
        unnamed.set(place, { code: 'name-clash', message: `its column name ${shown(column)} ${owner}` });
      } else {
        taken.add(column);
        const text = field(column, cell.type.schema, cell.json === 'null');
        if (isArrayIndex(column)) {
          labels.push(undefined);
          leading.push({ place, label: `${JSON.stringify(column)}:` });
          leadingFields.push(text);
        } else {
          labels.push(`,${JSON.stringify(column)}:`);
          fields.push(text);
        }
      }
    });
    fields.push(field('recvtime', types.instant.schema, false));
    return {
      names,
      types: cells.map((cell) => cell.type),
      nulls: cells.map((cell) => cell.json === 'null'),
      schema: struct([...leadingFields, ...fields]),
      labels,
      leading,
      unnamed,
    };
  };

  let shapes = new BoundedMap<Shape[]>(maxEntityTypes);
  // Counts all shapes added since the map was created, also those that have left it. The map is
  // therefore replaced earlier than necessary, and never later.
  let weight = 0;
  const shapeOf = (entityType: string, names: readonly string[], cells: readonly Cell[]): Shape => {
    let recent = shapes.get(entityType);
    const known = recent?.find((candidate) => isShapeOf(candidate, names, cells));
    if (known !== undefined) return known;
    const shape = newShape(names, cells);
    if (shape.schema.length > maxSchemaLength) return shape;
    weight += weightOf(shape);
    if (weight > maxWeight) {
      shapes = new BoundedMap<Shape[]>(maxEntityTypes);
      weight = weightOf(shape);
      recent = undefined;
    }
    if (recent === undefined) shapes.set(entityType, (recent = []));
    if (recent.unshift(shape) > maxShapesPerType) recent.pop();
    return shape;
  };

  const fillTemplate = (
    { row, idJson, groups }: MatchedEntity,
    instant: string,
    servicepath: string,
  ): string | undefined => {
    let value = row.head + idJson + row.afterId + quoted(servicepath);
    for (const { before, group, convert } of row.columns) {
      const json = convert === undefined ? instant : convert(groups[group] ?? '');
      if (json === undefined) return undefined;
      value += before + json;
    }
    return value + row.tail;
  };

  return {
    instantText(received) {
      if (sink === 'kafnus') return received;
      const instant = parseInstant(received);
      return instant && isStorableDate(instant.millis) ? zonedText(received, instant) : undefined;
    },

    identityProblem(entity, servicepath) {
      if (!types.storable) return undefined;
      const describe = (what: string, text: string, problem: string | undefined): string | undefined =>
        problem && `the ${what} ${shown(text)} ${problem}`;
      return (
        describe('id', entity.id, textProblem(entity.id)) ??
        describe('type', entity.type, textProblem(entity.type)) ??
        describe('service path', servicepath, textProblem(servicepath))
      );
    },

    key(entity, instant) {
      const id = quoted(entity.id);
      return instant === undefined
        ? `${keyById}${id}}}`
        : `${keyByIdAndInstant}${id},"timeinstant":${quoted(instant)}}}`;
    },

    rowTemplate(entity, groups) {
      const { members, timeInstantName, timeInstant } = entity;
      // Without the text of a TimeInstant, the row depends on the setting missingTimeInstant.
      if (timeInstantName !== undefined && timeInstant.kind !== 'text') return undefined;
      const names = Object.keys(members).filter((name) => name !== 'id' && name !== 'type');
      const cells = names.map((name) =>
        name === timeInstantName ? { type: types.instant, json: '""' } : toCell(members[name]),
      );
      const shape = shapeOf(entity.type, names, cells);
      const hasProblem = cells.some((cell) => cell.problem !== undefined);
      if (hasProblem || shape.unnamed.size > 0) return undefined;

      const columns: TemplateColumn[] = [];
      let before = '';
      names.forEach((name, place) => {
        const label = shape.labels[place];
        if (label === undefined) return;
        before += label;
        const group = groups.get(name);
        const attribute = members[name];
        if (group === undefined || !isObject(attribute)) {
          before += cells[place]?.json ?? 'null';
          return;
        }
        columns.push({
          before,
          group,
          convert: name === timeInstantName ? undefined : textConverter(toCell, attribute),
        });
        before = '';
      });
      return {
        head: `{"schema":${shape.schema},"payload":{"entityid":`,
        afterId: `,"entitytype":${quoted(entity.type)},"fiwareservicepath":`,
        columns,
        tail: `${before},"recvtime":"`,
      };
    },

    row(entity, instant, servicepath, recvtime) {
      const { timeInstantName } = entity;
      if (entity instanceof MatchedEntity && (instant === undefined) === (timeInstantName === undefined)) {
        const value = fillTemplate(entity, instant === undefined ? '' : quoted(instant), servicepath);
        if (value !== undefined) return { value: `${value}${recvtime}"}}`, problems: noProblems };
      }
      const { members } = entity;
      const names: string[] = [];
      const cells: Cell[] = [];
      const instantCell = instant === undefined ? noInstant : { type: types.instant, json: quoted(instant) };
      let hasProblem = false;
      if (timeInstantName === undefined && instant !== undefined) {
        names.push('timeinstant');
        cells.push(instantCell);
      }
      for (const name in members) {
        if (name === 'id' || name === 'type') continue;
        const cell = name === timeInstantName ? instantCell : toCell(members[name]);
        names.push(name);
        cells.push(cell);
        if (cell.problem !== undefined) hasProblem = true;
      }
      const shape = shapeOf(entity.type, names, cells);

      let value = `{"schema":${shape.schema},"payload":{`;
      for (const { place, label } of shape.leading) value += `${label}${cells[place]?.json ?? 'null'},`;
      value += `"entityid":${quoted(entity.id)},"entitytype":${quoted(entity.type)},"fiwareservicepath":${quoted(servicepath)}`;
      for (let place = 0; place < cells.length; place++) {
        const label = shape.labels[place];
        const cell = cells[place];
        if (label !== undefined && cell !== undefined) value += label + cell.json;
      }
      value += `,"recvtime":"${recvtime}"}}`;
      const problems = hasProblem || shape.unnamed.size > 0 ? problemsOf(names, cells, shape) : noProblems;
      return { value, problems };
    },
  };
}

/** An estimate in bytes: the labels repeat the names of the schema; five arrays per attribute. */
function weightOf({ schema, names }: Shape): number {
  return 2 * schema.length + 50 * names.length;
}

function isShapeOf(shape: Shape, names: readonly string[], cells: readonly Cell[]): boolean {
  if (names.length !== shape.names.length) return false;
  for (let place = 0; place < names.length; place++) {
    const cell = cells[place];
    if (names[place] !== shape.names[place] || cell?.type !== shape.types[place]) return false;
    if ((cell?.json === 'null') !== shape.nulls[place]) return false;
  }
  return true;
}

/** The problems of a row, in the order of the attributes. */
function problemsOf(names: readonly string[], cells: readonly Cell[], shape: Shape): readonly CellProblem[] {
  const problems: CellProblem[] = [];
  cells.forEach((cell, place) => {
    const name = names[place] ?? '';
    const problem = shape.unnamed.get(place) ?? (name.toLowerCase() === alterationType ? undefined : cell.problem);
    if (problem !== undefined) {
      problems.push({ code: problem.code, message: `attribute ${shown(name)}: ${problem.message}` });
    }
  });
  return problems;
}

/**
 * Whether a name is an array index (`0`, `7`, `123`). JavaScript moves such members before all
 * others of an object, in ascending order, so the entity's own order, which SPEC 3 asks for, is
 * lost. As in Kafnus 1.5, their columns come before the base columns.
 */
function isArrayIndex(name: string): boolean {
  const first = name.charCodeAt(0);
  if (!(first >= 0x30 && first <= 0x39)) return false;
  const index = Number(name);
  return Number.isInteger(index) && index < 4_294_967_295 && String(index) === name;
}

/** SPEC 3: field, type, name, fields, optional. */
function field(name: string, schema: string, optional: boolean): string {
  return `{"field":${JSON.stringify(name)},${schema},"optional":${optional}}`;
}

function struct(fields: readonly string[]): string {
  return `{"type":"struct","fields":[${fields.join(',')}],"optional":false}`;
}
