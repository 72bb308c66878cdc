/**
 * Entities to Kafka Connect JSON (schema and payload), as text and by hand: most of a record is its schema, and most
 * entities of a tenant have the same one.
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

/** A value, and what of the entity is not in it. */
interface Row {
  readonly value: string;
  readonly problems: readonly CellProblem[];
}

/** Writes the keys and values of one agent. Instants are given as {@link RecordWriter.instantText} made them. */
export interface RecordWriter {
  /**
   * The text of a TimeInstant for this sink; undefined when the sink needs a date and it is none. Kafnus's sinks get it as
   * received.
   */
  instantText(received: string): string | undefined;
  /** Why the sink could write no row of this entity; undefined when it can. */
  identityProblem(entity: Entity, servicepath: string): string | undefined;
  /** @param instant the second part of the key; undefined when the entity id is all of it */
  key(entity: Entity, instant: string | undefined): string;
  /**
   * @param instant the value of the column timeinstant; undefined when the entity has none. An entity that has no
   *   such attribute though there is a value for it (record-timestamp) gets it as its first attribute.
   */
  row(entity: Entity, instant: string | undefined, servicepath: string, recvtime: string): Row;
  /** What all rows have in common whose entities differ from this one in values only. */
  readonly rowTemplate: RowMaker;
}

/** All that entities with the same attributes, of the same types, have in common. */
interface Shape {
  /** What it is the shape of: attribute names, column types, and which of the values are null. */
  readonly names: readonly string[];
  readonly types: readonly ColumnType[];
  readonly nulls: readonly boolean[];
  readonly schema: string;
  /** For each attribute `,"name":`, and undefined for one that is no column, or a leading one. */
  readonly labels: readonly (string | undefined)[];
  /** Columns that come before the base columns: see {@link isArrayIndex}. */
  readonly leading: readonly { readonly place: number; readonly label: string }[];
  /** The attributes, by their place, that are no column because of their names. */
  readonly nameless: ReadonlyMap<number, CellProblem>;
}

/** Lower-cased names that no attribute may take. */
const BASE_COLUMNS: readonly string[] = ['entityid', 'entitytype', 'fiwareservicepath', 'recvtime'];
/** Orion's note about the notification, not about the entity (SPEC 3). */
const NO_COLUMN = 'alterationtype';
const NO_PROBLEMS: readonly CellProblem[] = [];
/**
 * How many shapes are remembered: of so many entity types, for each the most recent ones (attributes come and go, and are
 * null or not), and what they may weigh together, in bytes. A larger schema is made anew each time.
 */
const ENTITY_TYPES = 1000;
const SHAPES_OF_A_TYPE = 16;
const LARGEST_SCHEMA = 20_000;
const LARGEST_WEIGHT = 20_000_000;

/** @param sink whose record format */
export function recordWriter(sink: Sink): RecordWriter {
  const types = columnTypes[sink];
  const toCell = cellConverter(types);
  const noInstant: Cell = { type: types.instant, json: 'null' };
  const idField = field('entityid', types.string.schema, false);
  const keyById = `{"schema":${struct([idField])},"payload":{"entityid":`;
  const keyByIdAndInstant = `{"schema":${struct([idField, field('timeinstant', types.instant.schema, false)])},"payload":{"entityid":`;

  const newShape = (names: readonly string[], cells: readonly Cell[]): Shape => {
    const taken = new Set(BASE_COLUMNS);
    const fields = [
      idField,
      field('entitytype', types.string.schema, false),
      field('fiwareservicepath', types.string.schema, false),
    ];
    const leadingFields: string[] = [];
    const leading: { place: number; label: string }[] = [];
    const labels: (string | undefined)[] = [];
    const nameless = new Map<number, CellProblem>();
    cells.forEach((cell, place) => {
      const column = (names[place] ?? '').toLowerCase();
      const unfit = types.storable ? columnNameProblem(column) : undefined;
      if (column === NO_COLUMN) {
        labels.push(undefined);
      } else if (unfit !== undefined) {
        labels.push(undefined);
        nameless.set(place, { code: 'name-invalid', message: `its column name ${shown(column)} ${unfit}` });
      } else if (taken.has(column)) {
        labels.push(undefined);
        const owner = BASE_COLUMNS.includes(column) ? 'is that of a base column' : 'is that of an attribute before it';
        nameless.set(place, { code: 'name-clash', message: `its column name ${shown(column)} ${owner}` });
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
      nameless,
    };
  };

  let shapes = new BoundedMap<Shape[]>(ENTITY_TYPES);
  // Of all shapes since the map was new: those that have left it still count, so it errs on the side
  // of a map that starts again too early.
  let weight = 0;
  const shapeOf = (entityType: string, names: readonly string[], cells: readonly Cell[]): Shape => {
    let recent = shapes.get(entityType);
    const known = recent?.find((candidate) => isShapeOf(candidate, names, cells));
    if (known !== undefined) return known;
    const shape = newShape(names, cells);
    if (shape.schema.length > LARGEST_SCHEMA) return shape;
    weight += weightOf(shape);
    if (weight > LARGEST_WEIGHT) {
      shapes = new BoundedMap<Shape[]>(ENTITY_TYPES);
      weight = weightOf(shape);
      recent = undefined;
    }
    if (recent === undefined) shapes.set(entityType, (recent = []));
    if (recent.unshift(shape) > SHAPES_OF_A_TYPE) recent.pop();
    return shape;
  };

  const filled = ({ row, idJson, groups }: MatchedEntity, instant: string, servicepath: string): string | undefined => {
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
      const told = (what: string, text: string, problem: string | undefined): string | undefined =>
        problem && `the ${what} ${shown(text)} ${problem}`;
      return (
        told('id', entity.id, textProblem(entity.id)) ??
        told('type', entity.type, textProblem(entity.type)) ??
        told('service path', servicepath, textProblem(servicepath))
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
      // Where the TimeInstant has no text, the row depends on what stands for it.
      if (timeInstantName !== undefined && timeInstant.kind !== 'text') return undefined;
      const names = Object.keys(members).filter((name) => name !== 'id' && name !== 'type');
      const cells = names.map((name) =>
        name === timeInstantName ? { type: types.instant, json: '""' } : toCell(members[name]),
      );
      const shape = shapeOf(entity.type, names, cells);
      const flawed = cells.some((cell) => cell.problem !== undefined);
      if (flawed || shape.nameless.size > 0) return undefined;

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
        const value = filled(entity, instant === undefined ? '' : quoted(instant), servicepath);
        if (value !== undefined) return { value: `${value}${recvtime}"}}`, problems: NO_PROBLEMS };
      }
      const { members } = entity;
      const names: string[] = [];
      const cells: Cell[] = [];
      const instantCell = instant === undefined ? noInstant : { type: types.instant, json: quoted(instant) };
      let flawed = false;
      if (timeInstantName === undefined && instant !== undefined) {
        names.push('timeinstant');
        cells.push(instantCell);
      }
      for (const name in members) {
        if (name === 'id' || name === 'type') continue;
        const cell = name === timeInstantName ? instantCell : toCell(members[name]);
        names.push(name);
        cells.push(cell);
        if (cell.problem !== undefined) flawed = true;
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
      const problems = flawed || shape.nameless.size > 0 ? problemsOf(names, cells, shape) : NO_PROBLEMS;
      return { value, problems };
    },
  };
}

/** Bytes, roughly: the schema and the labels have the same names; each attribute is in five arrays. */
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

/** What the reports say, in the order of the attributes. */
function problemsOf(names: readonly string[], cells: readonly Cell[], shape: Shape): readonly CellProblem[] {
  const problems: CellProblem[] = [];
  cells.forEach((cell, place) => {
    const name = names[place] ?? '';
    const problem = shape.nameless.get(place) ?? (name.toLowerCase() === NO_COLUMN ? undefined : cell.problem);
    if (problem !== undefined) {
      problems.push({ code: problem.code, message: `attribute ${shown(name)}: ${problem.message}` });
    }
  });
  return problems;
}

/**
 * Whether a name is one that JavaScript puts before all other members of an object, in ascending order, wherever it stood in
 * the JSON text: `0`, `7`, `123`. SPEC 3 asks for the entity's own order, which is lost for these; Kafnus 1.5 writes them
 * before the base columns as well, and so do we.
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
