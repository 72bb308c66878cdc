/**
 * Reading entities without parsing JSON. The entities of a type come with the same attributes again and again, and only values
 * differ: so what was parsed once becomes a regular expression, in which every value is open and all else is literal.
 *
 *     {"id":"urn:r:1","type":"Room","temperature":{"type":"Number","value":21.5,"metadata":{}}}
 *
 *     {"id":(text),"type":"Room","temperature":\{"type":"Number","value":(number),"metadata":\{\}\}\}
 *
 * Both readings see the same entity. What matches is JSON, for the literals are, and the groups take JSON values only; it has
 * the members of the entity that was parsed, in the same order and none twice; and texts that match hold no escapes, so they
 * mean what they show. What does not match (another attribute, an escape, a blank) is parsed, and may become a template.
 */
import { jsonText, type TextConverter } from './attribute.js';
import { isObject, type Entity, type JsonObject, type TimeInstant } from './notification.js';
import { keyProblem } from './storable.js';

/** A JSON string without escapes; what JSON forbids in strings ends it. */
const TEXT = String.raw`"[^"\\\x00-\x1f]*"`;
const NUMBER = String.raw`-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?`;

/** All before the first entity. What else is in a message does not matter once the record has headers. */
const HEAD = new RegExp(String.raw`\{(?:${TEXT}:${TEXT},)*"data":\[`, 'y');
const ID_AND_TYPE = new RegExp(String.raw`\{"id":("[^"\\\x00-\x1f]+"),"type":"([^"\\\x00-\x1f]*)"`, 'y');
const END = ']}';
const COMMA = 0x2c;

/** What is open in compact JSON: texts that are no names, numbers, booleans. A name is taken with its colon. */
const TOKEN = /"(?:[^"\\]|\\.)*":?|-?\d[\d.eE+-]*|true|false|[^"]/g;
const SPECIAL = /[\\^$.*+?()[\]{}|/]/g;

/** V8 does not optimise longer ones. */
const LONGEST_SOURCE = 20_000;
/** Of a type that has templates; it is kept in each of them. */
const LONGEST_TYPE = 500;
/**
 * What all templates may weigh: see {@link weightOf}. A unit stands for some 10 bytes, most of them in what V8 compiles, so this is
 * about 10 MB.
 */
const LARGEST_WEIGHT = 1_000_000;
/** Of a template beside its texts. */
const OWN_WEIGHT = 4_000;
const TEMPLATES_OF_A_TYPE = 8;
/** What a regular expression can go back to takes memory, too. */
const LONGEST_TEXT = 1 << 20;
/**
 * How many entities no template reads between one that is made a template and the next. To compile a template takes as long as to
 * parse a hundred entities like it; so where no two are alike, a fifth of the time is spent in vain, and no more. A prime: of
 * entities that come in turn, it is not always the same one's.
 */
const TRY_EVERY = 31;
const REST_AFTER_MAKING = 200;
const REST_BY_SOURCE = 0.5;

/** A column whose value comes from the text of the entity. */
export interface TemplateColumn {
  /** What goes before its value. */
  readonly before: string;
  /** The number of the group that its value is in. */
  readonly group: number;
  /** undefined for the TimeInstant, which is written as the sink wants it. */
  readonly convert: TextConverter | undefined;
}

/** The row of an entity, as far as all that match a template have the same. */
export interface RowTemplate {
  /** Up to the entity id, from there to the service path, then the columns, and what is left before recvtime. */
  readonly head: string;
  readonly afterId: string;
  readonly columns: readonly TemplateColumn[];
  readonly tail: string;
}

interface Template {
  /** What follows id and type. */
  readonly pattern: RegExp;
  readonly type: string;
  readonly timeInstantName: string | undefined;
  readonly timeInstantGroup: number | undefined;
  readonly alteration: Entity['alteration'];
  readonly row: RowTemplate;
}

const MISSING: TimeInstant = { kind: 'missing' };

/** An entity that a template has read. */
export class MatchedEntity implements Entity {
  readonly kind = 'entity';
  readonly id: string;
  readonly type: string;
  readonly timeInstantName: string | undefined;
  readonly timeInstant: TimeInstant;
  readonly alteration: Entity['alteration'];
  readonly row: RowTemplate;
  private parsed: JsonObject | undefined;

  constructor(
    template: Template,
    /** The JSON text of the id. */
    readonly idJson: string,
    /** The JSON text of values, by their groups: see {@link TemplateColumn}. */
    readonly groups: readonly (string | undefined)[],
    private readonly text: string,
    private readonly start: number,
    readonly end: number,
  ) {
    const { type, timeInstantName, timeInstantGroup, alteration, row } = template;
    this.id = idJson.slice(1, -1);
    this.type = type;
    this.timeInstantName = timeInstantName;
    this.timeInstant =
      timeInstantGroup === undefined ? MISSING : { kind: 'text', text: groups[timeInstantGroup]?.slice(1, -1) ?? '' };
    this.alteration = alteration;
    this.row = row;
  }

  /** For what a template cannot say: why a value is refused, and the row without it. */
  get members(): JsonObject {
    this.parsed ??= JSON.parse(this.text.slice(this.start, this.end)) as JsonObject;
    return this.parsed;
  }
}

/** Makes the row of a template; undefined when there is more to a row like this one than its values. */
export type RowMaker = (entity: Entity, groups: ReadonlyMap<string, number>) => RowTemplate | undefined;

/** What templates read of a notification. */
export interface Reading {
  /** All entities, or those before the first one that no template takes. */
  readonly entities: readonly Entity[];
  readonly complete: boolean;
}

/** The templates of one agent. */
export class EntityTemplates {
  private readonly byType = new Map<string, Template[]>();
  private weight = 0;
  /** Entities that no template took since the last try to make one, and how many it takes for the next. */
  private unread = 0;
  private wait = TRY_EVERY;

  constructor(private readonly rowOf: RowMaker) {}

  /** Reads a notification; undefined for a text that templates are not made for. @param text the whole message */
  read(text: string): Reading | undefined {
    // A replacement character may stand for bytes that are no UTF-8.
    if (text.length > LONGEST_TEXT || text.includes('\ufffd')) return undefined;
    HEAD.lastIndex = 0;
    if (!HEAD.test(text)) return undefined;
    const entities: Entity[] = [];
    let at = HEAD.lastIndex;
    for (;;) {
      const entity = this.match(text, at);
      if (entity === undefined) return { entities, complete: false };
      entities.push(entity);
      at = entity.end;
      if (text.charCodeAt(at) !== COMMA) break;
      at += 1;
    }
    return at + END.length === text.length && text.endsWith(END) ? { entities, complete: true } : undefined;
  }

  private match(text: string, start: number): MatchedEntity | undefined {
    ID_AND_TYPE.lastIndex = start;
    const found = ID_AND_TYPE.exec(text);
    if (found === null) return undefined;
    const templates = this.byType.get(found[2] ?? '');
    if (templates === undefined) return undefined;
    // Parsed, it is refused. Longer types have no templates, nor have too many attributes.
    if (keyProblem(found[1] ?? '') !== undefined) return undefined;
    const at = ID_AND_TYPE.lastIndex;
    for (let place = 0; place < templates.length; place++) {
      const template = templates[place];
      if (template === undefined) break;
      const { pattern } = template;
      pattern.lastIndex = at;
      const groups = pattern.exec(text);
      if (groups === null) continue;
      // Those that match move to the front, one place at a time: the last one is the one to do without.
      const before = templates[place - 1];
      if (before !== undefined) {
        templates[place - 1] = template;
        templates[place] = before;
      }
      return new MatchedEntity(template, found[1] ?? '', groups, text, start, pattern.lastIndex);
    }
    return undefined;
  }

  /** Tells of an entity that no template took, and that was parsed therefore: now and then it becomes a template. */
  learn(entity: Entity): void {
    this.unread += 1;
    if (this.unread < this.wait) return;
    this.unread = 0;
    this.wait = TRY_EVERY;
    const template = this.templateOf(entity);
    if (template === undefined || !this.add(template)) return;
    this.wait = REST_AFTER_MAKING + Math.round(template.pattern.source.length * REST_BY_SOURCE);
  }

  /** @returns false when there is one like it: it does not take what differs in more than values, such as blanks and escapes */
  private add(template: Template): boolean {
    const { type } = template;
    const weight = weightOf(template);
    if (this.byType.get(type)?.some(({ pattern }) => pattern.source === template.pattern.source)) return false;
    if (this.weight + weight > LARGEST_WEIGHT) {
      this.byType.clear();
      this.weight = 0;
    }
    const templates = this.byType.get(type) ?? [];
    this.byType.set(type, templates);
    const last = templates.length === TEMPLATES_OF_A_TYPE ? templates.pop() : undefined;
    templates.push(template);
    this.weight += weight - (last === undefined ? 0 : weightOf(last));
    return true;
  }

  private templateOf(entity: Entity): Template | undefined {
    const [first, second, ...names] = Object.keys(entity.members);
    // Orion begins with them. Names that are array indices come before all others, wherever they stood in the text.
    if (first !== 'id' || second !== 'type' || entity.type.length > LONGEST_TYPE) return undefined;
    const groups = new Map<string, number>();
    let source = '';
    for (const name of names) {
      const attribute = patternOf(name, entity.members[name], () => groups.set(name, groups.size + 1));
      if (attribute === undefined || source.length + attribute.length > LONGEST_SOURCE) return undefined;
      source += attribute;
    }
    const row = this.rowOf(entity, groups);
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

/** Characters that are kept, most of them in the pattern, and what comes with each template. */
function weightOf({ type, pattern, row }: Template): number {
  const columns = row.columns.reduce((sum, { before }) => sum + before.length, 0);
  return OWN_WEIGHT + pattern.source.length + 2 * type.length + row.head.length + columns + row.tail.length;
}

/** @param group gives the value a group of its own */
function patternOf(name: string, attribute: unknown, group: () => void): string | undefined {
  const label = `,${literal(JSON.stringify(name))}:`;
  if (!isObject(attribute)) return attribute === null ? `${label}null` : undefined;
  const members: string[] = [];
  let length = 0;
  for (const member in attribute) {
    const json = jsonText(attribute[member]);
    if (json === undefined || json.length > LONGEST_SOURCE) return undefined;
    // The type decides what becomes of the value, and a note of Orion what becomes of the entity.
    const fixed = member === 'type' || name.toLowerCase() === 'alterationtype';
    let pattern = fixed ? literal(json) : patternOfValues(json);
    if (!fixed && member === 'value' && json !== 'null') {
      pattern = `(${pattern})`;
      group();
    }
    members.push(`${literal(JSON.stringify(member))}:${pattern}`);
    length += pattern.length;
    if (length > LONGEST_SOURCE) return undefined;
  }
  return `${label}\\{${members.join(',')}\\}`;
}

/** Matches all JSON texts that differ from this one in their values, and not in their names or nulls. */
function patternOfValues(json: string): string {
  return json.replace(TOKEN, (token) => {
    if (token.startsWith('"')) return token.endsWith(':') ? literal(token) : TEXT;
    if (token === 'true' || token === 'false') return '(?:true|false)';
    return token.length > 1 || (token >= '0' && token <= '9') ? NUMBER : literal(token);
  });
}

function literal(text: string): string {
  return text.replace(SPECIAL, '\\$&');
}
