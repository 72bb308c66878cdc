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

/**
 * A template takes 30 to 60 kB once it is compiled, and 100 attributes 200 kB: 20 times its source. V8 does not optimise
 * sources of more than 20 kB.
 */
const LONGEST_SOURCE = 20_000;
const ALL_SOURCES = 400_000;
const TEMPLATES_OF_A_TYPE = 8;
/** What a regular expression can go back to takes memory, too. */
const LONGEST_TEXT = 1 << 20;
/** Making one costs as much as parsing some 200 entities, so each must follow so many that were parsed, at least. */
const FIRST_WAIT = 32;
const LONGEST_WAIT = 1 << 16;

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
  readonly deletion: Entity['deletion'];
  readonly row: RowTemplate;
  matches: number;
}

const MISSING: TimeInstant = { kind: 'missing' };

/** An entity that a template has read. */
export class MatchedEntity implements Entity {
  readonly kind = 'entity';
  readonly id: string;
  readonly type: string;
  readonly timeInstantName: string | undefined;
  readonly timeInstant: TimeInstant;
  readonly deletion: Entity['deletion'];
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
    const { type, timeInstantName, timeInstantGroup, deletion, row } = template;
    this.id = idJson.slice(1, -1);
    this.type = type;
    this.timeInstantName = timeInstantName;
    this.timeInstant =
      timeInstantGroup === undefined ? MISSING : { kind: 'text', text: groups[timeInstantGroup]?.slice(1, -1) ?? '' };
    this.deletion = deletion;
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

/** The templates of one agent. */
export class EntityTemplates {
  private readonly byType = new Map<string, Template[]>();
  /** Characters of all sources. */
  private size = 0;
  private latest: Template | undefined;
  /** Entities parsed since the latest template was made, and how many there must be before the next. */
  private parsed = 0;
  private wait = FIRST_WAIT;

  constructor(private readonly rowOf: RowMaker) {}

  /** The entities of a notification; undefined when it must be parsed. @param text the whole message */
  read(text: string): Entity[] | undefined {
    // A replacement character may stand for bytes that are no UTF-8.
    if (this.size === 0 || text.length > LONGEST_TEXT || text.includes('\ufffd')) return undefined;
    HEAD.lastIndex = 0;
    if (!HEAD.test(text)) return undefined;
    const entities: Entity[] = [];
    let at = HEAD.lastIndex;
    for (;;) {
      const entity = this.match(text, at);
      if (entity === undefined) return undefined;
      entities.push(entity);
      at = entity.end;
      if (text.charCodeAt(at) !== COMMA) break;
      at += 1;
    }
    return at + END.length === text.length && text.endsWith(END) ? entities : undefined;
  }

  private match(text: string, start: number): MatchedEntity | undefined {
    ID_AND_TYPE.lastIndex = start;
    const found = ID_AND_TYPE.exec(text);
    if (found === null) return undefined;
    const templates = this.byType.get(found[2] ?? '');
    if (templates === undefined) return undefined;
    const at = ID_AND_TYPE.lastIndex;
    for (let place = 0; place < templates.length; place++) {
      const template = templates[place];
      if (template === undefined) break;
      const { pattern } = template;
      pattern.lastIndex = at;
      const groups = pattern.exec(text);
      if (groups === null) continue;
      template.matches += 1;
      // Those that match move to the front, one place at a time.
      const before = templates[place - 1];
      if (before !== undefined) {
        templates[place - 1] = template;
        templates[place] = before;
      }
      return new MatchedEntity(template, found[1] ?? '', groups, text, start, pattern.lastIndex);
    }
    return undefined;
  }

  /** Tells of an entity that had to be parsed: now and then a template is made of one. */
  learn(entity: Entity): void {
    this.parsed += 1;
    if (this.parsed < this.wait) return;
    this.parsed = 0;
    // Where templates do not pay, because hardly two entities are alike, fewer and fewer are made.
    const paid = this.latest === undefined || this.latest.matches >= this.wait;
    this.wait = paid ? FIRST_WAIT : Math.min(this.wait * 2, LONGEST_WAIT);
    this.latest = this.templateOf(entity);
    if (this.latest !== undefined) this.add(entity.type, this.latest);
  }

  private add(type: string, template: Template): void {
    if (this.size + template.pattern.source.length > ALL_SOURCES) {
      this.byType.clear();
      this.size = 0;
    }
    let templates = this.byType.get(type);
    if (templates === undefined) this.byType.set(type, (templates = []));
    if (templates.length === TEMPLATES_OF_A_TYPE) this.size -= templates.pop()?.pattern.source.length ?? 0;
    templates.push(template);
    this.size += template.pattern.source.length;
  }

  private templateOf(entity: Entity): Template | undefined {
    const [first, second, ...names] = Object.keys(entity.members);
    if (first !== 'id' || second !== 'type') return undefined;
    const groups = new Map<string, number>();
    let source = '';
    for (const name of names) {
      const attribute = patternOf(name, entity.members[name], () => groups.set(name, groups.size + 1));
      if (attribute === undefined || source.length + attribute.length > LONGEST_SOURCE) return undefined;
      source += attribute;
    }
    const row = this.rowOf(entity, groups);
    if (row === undefined) return undefined;
    const { type, timeInstantName, deletion } = entity;
    const timeInstantGroup = timeInstantName === undefined ? undefined : groups.get(timeInstantName);
    return {
      pattern: new RegExp(`${source}\\}`, 'y'),
      type,
      timeInstantName,
      timeInstantGroup,
      deletion,
      row,
      matches: 0,
    };
  }
}

/** @param group gives the value a group of its own */
function patternOf(name: string, attribute: unknown, group: () => void): string | undefined {
  const label = `,${literal(JSON.stringify(name))}:`;
  if (!isObject(attribute)) return attribute === null ? `${label}null` : undefined;
  const members: string[] = [];
  for (const member in attribute) {
    const json = jsonText(attribute[member]);
    if (json === undefined) return undefined;
    let pattern = open(json);
    // The type decides what becomes of the value, and a note of Orion what becomes of the entity.
    if (member === 'type' || name.toLowerCase() === 'alterationtype') {
      pattern = literal(json);
    } else if (member === 'value' && json !== 'null') {
      pattern = `(${pattern})`;
      group();
    }
    members.push(`${literal(JSON.stringify(member))}:${pattern}`);
  }
  return `${label}\\{${members.join(',')}\\}`;
}

/** Matches all JSON texts that differ from this one in their values, and not in their names or nulls. */
function open(json: string): string {
  return json.replace(TOKEN, (token) => {
    if (token.startsWith('"')) return token.endsWith(':') ? literal(token) : TEXT;
    if (token === 'true' || token === 'false') return '(?:true|false)';
    return token.length > 1 || (token >= '0' && token <= '9') ? NUMBER : literal(token);
  });
}

function literal(text: string): string {
  return text.replace(SPECIAL, '\\$&');
}
