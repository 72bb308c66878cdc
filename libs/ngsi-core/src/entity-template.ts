/**
 * Reads entities without parsing JSON. The entities of a type usually have the same attributes and
 * differ only in values. So an entity that was parsed becomes a template: a regular expression in
 * which each value is a group and everything else is literal.
 *
 *     {"id":"urn:r:1","type":"Room","heat":{"type":"Number","value":21.5,"metadata":{}}}
 *
 *     {"id":(text),"type":"Room","heat":\{"type":"Number","value":(number),"metadata":\{\}\}\}
 *
 * A match gives the same entity as parsing does. The text that matches is JSON, because the
 * literals are JSON and the groups accept only JSON values. It has the members of the parsed
 * entity, in the same order and none twice. It has no escapes. An entity that does not match
 * (another attribute, an escape, a blank) is parsed, and may become a template.
 */
import { jsonText, type TextConverter } from './attribute.js';
import { isObject, type Entity, type JsonObject, type TimeInstant } from './notification.js';
import { keyProblem } from './storable.js';

/** A JSON string without escapes and control characters. */
const textPattern = String.raw`"[^"\\\x00-\x1f]*"`;
const numberPattern = String.raw`-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?`;

/** The text before the first entity: the other members of a message do not matter here. */
const headPattern = new RegExp(String.raw`\{(?:${textPattern}:${textPattern},)*"data":\[`, 'y');
const idAndType = new RegExp(String.raw`\{"id":("[^"\\\x00-\x1f]+"),"type":"([^"\\\x00-\x1f]*)"`, 'y');
const closing = ']}';
const comma = 0x2c;

/** A token of compact JSON; the name of a member includes its colon. */
const jsonToken = /"(?:[^"\\]|\\.)*":?|-?\d[\d.eE+-]*|true|false|[^"]/g;
const specialCharacter = /[\\^$.*+?()[\]{}|/]/g;

/** V8 does not optimise longer regular expressions. */
const maxSourceLength = 20_000;
/** The longest entity type that gets templates: each template contains it. */
const maxTypeLength = 500;
/**
 * The largest total of {@link weightOf}. A unit is about 10 bytes, mostly compiled code of V8: so
 * all templates take about 10 MB.
 */
const maxWeight = 1_000_000;
/** The weight of a template without its texts. */
const ownWeight = 4_000;
const maxTemplatesPerType = 8;
/** The longest message that is matched: backtracking needs memory by its length. */
const maxTextLength = 1 << 20;
/**
 * How many unmatched entities pass until one becomes a template. Compiling a template takes as long
 * as parsing a hundred such entities. So if no two entities are alike, at most a fifth of the time
 * is wasted. The number is prime: if several kinds of entities alternate, each gets its turn.
 */
const tryEvery = 31;
const pauseAfterTemplate = 200;
const pausePerCharacter = 0.5;

/** A column whose value comes from the text of the entity. */
export interface TemplateColumn {
  /** The text before the value. */
  readonly before: string;
  /** The number of the group that holds the value. */
  readonly group: number;
  /** undefined for the TimeInstant, whose text depends on the sink. */
  readonly convert: TextConverter | undefined;
}

/** The parts of a row that are the same for all entities that match a template. */
export interface RowTemplate {
  /** Up to the entity id; `afterId` reaches to the service path, `tail` to recvtime. */
  readonly head: string;
  readonly afterId: string;
  readonly columns: readonly TemplateColumn[];
  readonly tail: string;
}

interface Template {
  /** Matches the text after id and type. */
  readonly pattern: RegExp;
  readonly type: string;
  readonly timeInstantName: string | undefined;
  readonly timeInstantGroup: number | undefined;
  readonly alteration: Entity['alteration'];
  readonly row: RowTemplate;
}

const noTimeInstant: TimeInstant = { kind: 'missing' };

/** An entity that matched a template. */
export class MatchedEntity implements Entity {
  readonly kind = 'entity';
  readonly id: string;
  readonly type: string;
  readonly timeInstantName: string | undefined;
  readonly timeInstant: TimeInstant;
  readonly alteration: Entity['alteration'];
  readonly row: RowTemplate;
  readonly #text: string;
  readonly #start: number;
  #parsed: JsonObject | undefined;

  constructor(
    template: Template,
    /** The JSON text of the id. */
    readonly idJson: string,
    /** The JSON text of values, by their groups: see {@link TemplateColumn}. */
    readonly groups: readonly (string | undefined)[],
    text: string,
    start: number,
    readonly end: number,
  ) {
    this.#text = text;
    this.#start = start;
    const { type, timeInstantName, timeInstantGroup, alteration, row } = template;
    this.id = idJson.slice(1, -1);
    this.type = type;
    this.timeInstantName = timeInstantName;
    this.timeInstant =
      timeInstantGroup === undefined
        ? noTimeInstant
        : { kind: 'text', text: groups[timeInstantGroup]?.slice(1, -1) ?? '' };
    this.alteration = alteration;
    this.row = row;
  }

  /** Parsed only when needed: for an entity with a value that is refused. */
  get members(): JsonObject {
    this.#parsed ??= JSON.parse(this.#text.slice(this.#start, this.end)) as JsonObject;
    return this.#parsed;
  }
}

/** Makes the row of a template; undefined when rows of such entities differ in more than values. */
export type RowMaker = (entity: Entity, groups: ReadonlyMap<string, number>) => RowTemplate | undefined;

/** The entities of a notification that matched templates. */
export interface Reading {
  /** All entities, or those before the first one that matches no template. */
  readonly entities: readonly Entity[];
  readonly complete: boolean;
}

/** The templates of one agent. */
export class EntityTemplates {
  readonly #byType = new Map<string, Template[]>();
  #weight = 0;
  /** Unmatched entities since the last attempt to make a template, and the number for the next. */
  #unmatched = 0;
  #nextAttempt = tryEvery;

  readonly #rowOf: RowMaker;

  constructor(rowOf: RowMaker) {
    this.#rowOf = rowOf;
  }

  /**
   * Reads a notification.
   * @param text the whole message
   * @returns undefined when the message is not of the form that templates expect
   */
  read(text: string): Reading | undefined {
    // A replacement character may stand for bytes that are not UTF-8.
    if (text.length > maxTextLength || text.includes('\ufffd')) return undefined;
    headPattern.lastIndex = 0;
    if (!headPattern.test(text)) return undefined;
    const entities: Entity[] = [];
    let at = headPattern.lastIndex;
    for (;;) {
      const entity = this.#match(text, at);
      if (entity === undefined) return { entities, complete: false };
      entities.push(entity);
      at = entity.end;
      if (text.charCodeAt(at) !== comma) break;
      at += 1;
    }
    return at + closing.length === text.length && text.endsWith(closing) ? { entities, complete: true } : undefined;
  }

  #match(text: string, start: number): MatchedEntity | undefined {
    idAndType.lastIndex = start;
    const found = idAndType.exec(text);
    if (found === null) return undefined;
    const templates = this.#byType.get(found[2] ?? '');
    if (templates === undefined) return undefined;
    // An id that is too long is refused by the parsing code. Templates are never made for types
    // that are too long, or for too many attributes.
    if (keyProblem(found[1] ?? '') !== undefined) return undefined;
    const at = idAndType.lastIndex;
    for (let place = 0; place < templates.length; place++) {
      const template = templates[place];
      if (template === undefined) break;
      const { pattern } = template;
      pattern.lastIndex = at;
      const groups = pattern.exec(text);
      if (groups === null) continue;
      // A template that matches moves one place forward, so the last one is the least used.
      const before = templates[place - 1];
      if (before !== undefined) {
        templates[place - 1] = template;
        templates[place] = before;
      }
      return new MatchedEntity(template, found[1] ?? '', groups, text, start, pattern.lastIndex);
    }
    return undefined;
  }

  /** Takes an entity that matched no template and was parsed: sometimes it becomes a template. */
  learn(entity: Entity): void {
    this.#unmatched += 1;
    if (this.#unmatched < this.#nextAttempt) return;
    this.#unmatched = 0;
    this.#nextAttempt = tryEvery;
    const template = this.#templateOf(entity);
    if (template === undefined || !this.#add(template)) return;
    this.#nextAttempt = pauseAfterTemplate + Math.round(template.pattern.source.length * pausePerCharacter);
  }

  /** @returns false when the template exists: the entity differs in blanks or escapes only */
  #add(template: Template): boolean {
    const { type } = template;
    const weight = weightOf(template);
    if (this.#byType.get(type)?.some(({ pattern }) => pattern.source === template.pattern.source)) return false;
    if (this.#weight + weight > maxWeight) {
      this.#byType.clear();
      this.#weight = 0;
    }
    const templates = this.#byType.get(type) ?? [];
    this.#byType.set(type, templates);
    const last = templates.length === maxTemplatesPerType ? templates.pop() : undefined;
    templates.push(template);
    this.#weight += weight - (last === undefined ? 0 : weightOf(last));
    return true;
  }

  #templateOf(entity: Entity): Template | undefined {
    const [first, second, ...names] = Object.keys(entity.members);
    // Orion writes id and type first. Names that are array indices would come before them here,
    // whatever their place in the text.
    if (first !== 'id' || second !== 'type' || entity.type.length > maxTypeLength) return undefined;
    const groups = new Map<string, number>();
    let source = '';
    for (const name of names) {
      const attribute = patternOf(name, entity.members[name], () => groups.set(name, groups.size + 1));
      if (attribute === undefined || source.length + attribute.length > maxSourceLength) return undefined;
      source += attribute;
    }
    const row = this.#rowOf(entity, groups);
    if (row === undefined) return undefined;
    const { type, timeInstantName, alteration } = entity;
    const timeInstantGroup = timeInstantName === undefined ? undefined : groups.get(timeInstantName);
    return {
      pattern: new RegExp(`${source}\\}`, 'y'),
      type,
      timeInstantName,
      timeInstantGroup,
      alteration,
      row,
    };
  }
}

/** The characters that a template holds, most of them in the pattern, and a fixed part. */
function weightOf({ type, pattern, row }: Template): number {
  const columns = row.columns.reduce((sum, { before }) => sum + before.length, 0);
  return ownWeight + pattern.source.length + 2 * type.length + row.head.length + columns + row.tail.length;
}

/** @param group is called when the value gets a group of its own */
function patternOf(name: string, attribute: unknown, group: () => void): string | undefined {
  const label = `,${literal(JSON.stringify(name))}:`;
  if (!isObject(attribute)) return attribute === null ? `${label}null` : undefined;
  const members: string[] = [];
  let length = 0;
  for (const member in attribute) {
    const json = jsonText(attribute[member]);
    if (json === undefined || json.length > maxSourceLength) return undefined;
    // The type decides how the value is converted; alterationType decides whether the entity is
    // deleted. Both are therefore literal.
    const fixed = member === 'type' || name.toLowerCase() === 'alterationtype';
    let pattern = fixed ? literal(json) : patternOfValues(json);
    if (!fixed && member === 'value' && json !== 'null') {
      pattern = `(${pattern})`;
      group();
    }
    members.push(`${literal(JSON.stringify(member))}:${pattern}`);
    length += pattern.length;
    if (length > maxSourceLength) return undefined;
  }
  return `${label}\\{${members.join(',')}\\}`;
}

/** The pattern of all JSON texts that differ from this one only in values other than null. */
function patternOfValues(json: string): string {
  return json.replace(jsonToken, (token) => {
    if (token.startsWith('"')) return token.endsWith(':') ? literal(token) : textPattern;
    if (token === 'true' || token === 'false') return '(?:true|false)';
    return token.length > 1 || (token >= '0' && token <= '9') ? numberPattern : literal(token);
  });
}

function literal(text: string): string {
  return text.replace(specialCharacter, '\\$&');
}
