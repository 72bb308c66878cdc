/**
 * What the file, the environment and the arguments say, before it is checked: raw values by key,
 * each with the place it came from. Names that nobody knows are problems: a setting with a typing
 * error must not be ignored in silence.
 */
import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';

import type { Setting, SettingsSchema } from '@kafnus/agent-contract';
import { codeOf, messageOf } from '@kafnus/kafka-admin';
import { jsonErrorOffset, lineAndColumn } from './json-position.js';
import { shown } from './problems.js';
import { suggestion } from './suggestion.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A raw value and where it came from, in words. */
export interface Given {
  readonly raw: unknown;
  readonly source: string;
}

/** Raw values by key. A Map, because keys come from outside: `__proto__` is a name like others. */
export type Layer = Map<string, Given>;

/** `kafkaBrokers` -> `kafka-brokers`, unless the setting names its argument. */
export function argumentOf(key: string, setting: Setting): string {
  return setting.arg ?? key.replace(/[A-Z]/g, (upper) => `-${upper.toLowerCase()}`);
}

/** Whether `<ENV>_FILE` may name a file with the value: secrets, and objects that may have some. */
export function hasFileVariant(setting: Setting): boolean {
  return setting.sensitive === true || setting.format === 'properties';
}

export interface Arguments {
  readonly layer: Layer;
  readonly config: string | undefined;
  readonly help: boolean;
  readonly version: boolean;
}

/** `--key value` and `--key=value`; the last wins: a wrapper's arguments can be overridden. */
export function readArguments(argv: readonly string[], schema: SettingsSchema, problems: string[]): Arguments {
  const keys = new Map(Object.entries(schema).map(([key, setting]) => [argumentOf(key, setting), key]));
  const layer: Layer = new Map();
  let config: string | undefined;
  let help = false;
  let version = false;
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index] ?? '';
    if (argument === '--help' || argument === '-h') help = true;
    else if (argument === '--version') version = true;
    else {
      const [, name = '', inline] = /^--([^=]+)(?:=(.*))?$/s.exec(argument) ?? [];
      const key = keys.get(name);
      if (name === '' || (key === undefined && name !== 'config')) {
        // What follows `=` may be a secret: only the name is shown.
        const given = shown(name === '' ? argument : `--${name}`);
        problems.push(`unknown argument ${given}${suggestion(name, [...keys.keys(), 'config'])} (--help lists all)`);
        if (name !== '' && inline === undefined && isValue(argv[index + 1])) index++;
        continue;
      }
      let text = inline;
      if (text === undefined && isValue(argv[index + 1])) text = argv[++index];
      if (text === undefined && key !== undefined && schema[key]?.format === 'Boolean') text = 'true';
      if (text === undefined) problems.push(`the argument --${name} has no value: write --${name}=VALUE`);
      else if (key === undefined) config = text;
      else layer.set(key, { raw: text, source: `argument --${name}` });
    }
  }
  return { layer, config, help, version };
}

function isValue(argument: string | undefined): boolean {
  return argument !== undefined && !argument.startsWith('--');
}

/**
 * Settings that agents of the suite have, though perhaps not the one that starts: one environment
 * serves all of them in a Compose file or a shared ConfigMap, so these names are no mistakes (SPEC
 * 10).
 */
const suiteSettings = [
  'INPUT_TOPIC',
  'OUTPUT_TOPIC',
  'DEAD_LETTER_TOPIC',
  'TOPIC_PREFIX',
  'TOPIC_SUFFIX',
  'NAMING',
  'SINK',
  'DATAMODEL',
  'MISSING_TIME_INSTANT',
  'ATTRIBUTE_ERRORS',
  'DEFAULT_SERVICE',
  'DEFAULT_SERVICEPATH',
  'TENANTS',
].map((name) => `KAFNUS_${name}`);

/** An empty variable counts as not set: that is what `${X:-}` of Compose and charts leaves. */
export function readEnvironment(env: Environment, schema: SettingsSchema, problems: string[]): Layer {
  const layer: Layer = new Map();
  const known = new Set(['KAFNUS_CONFIG']);
  for (const [key, setting] of Object.entries(schema)) {
    const name = setting.env;
    known.add(name);
    const text = env[name];
    if (text !== undefined && text !== '') layer.set(key, { raw: text, source: `environment variable ${name}` });
    if (!hasFileVariant(setting)) continue;
    known.add(`${name}_FILE`);
    const path = env[`${name}_FILE`];
    if (path === undefined || path === '') continue;
    if (layer.has(key)) {
      problems.push(`${key} is given twice, by ${name} and by ${name}_FILE: remove one of them`);
      continue;
    }
    const secret = readSecret(path, `${key}: the file of ${name}_FILE`, problems);
    if (secret !== undefined) layer.set(key, { raw: secret, source: `file ${path} of ${name}_FILE` });
  }
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || !name.startsWith('KAFNUS_') || known.has(name)) continue;
    if (suiteSettings.includes(name) || isServiceLink(name, env)) continue;
    problems.push(`unknown environment variable ${name}${suggestion(name, known)} (--help lists all)`);
  }
  return layer;
}

/**
 * Kubernetes adds variables for every Service of the namespace: one called `kafnus-historic` gives
 * KAFNUS_HISTORIC_SERVICE_HOST, KAFNUS_HISTORIC_PORT, KAFNUS_HISTORIC_PORT_8080_TCP, ... They are
 * no settings of ours.
 */
function isServiceLink(name: string, env: Environment): boolean {
  const service =
    /^(KAFNUS_.+?)_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$/.exec(
      name,
    );
  return service?.[1] !== undefined && env[`${service[1]}_SERVICE_HOST`] !== undefined;
}

/** The content without the newline that editors and `echo` leave at the end. */
function readSecret(path: string, what: string, problems: string[]): string | undefined {
  const read = readText(path, what, problems);
  let end = read?.length ?? 0;
  while (read !== undefined && (read[end - 1] === '\n' || read[end - 1] === '\r')) end -= 1;
  const text = read?.slice(0, end);
  if (text === '') problems.push(`${what}, ${path}, is empty`);
  return text === '' ? undefined : text;
}

function readText(path: string, what: string, problems: string[]): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    problems.push(`${what} cannot be read: ${path} (${codeOf(error) ?? messageOf(error)})`);
    return undefined;
  }
}

/** A YAML or JSON file: one mapping of keys as in the schema. */
export function readConfigFile(path: string, schema: SettingsSchema, problems: string[]): Layer {
  const layer: Layer = new Map();
  const text = readText(path, 'the configuration file', problems);
  if (text === undefined) return layer;
  const content = path.endsWith('.json') ? parseJson(text, path, problems) : parseYaml(text, path, problems);
  if (content === undefined || content === null) return layer;
  if (typeof content !== 'object' || Array.isArray(content)) {
    problems.push(`the configuration file ${path} must be a mapping of keys to values`);
    return layer;
  }
  for (const [key, raw] of Object.entries(content)) {
    if (!Object.hasOwn(schema, key)) {
      problems.push(
        `unknown key ${shown(key)} in the file ${path}${suggestion(key, Object.keys(schema))} (--help lists all)`,
      );
    } else if (raw !== null) layer.set(key, { raw, source: `file ${path}` });
  }
  return layer;
}

function parseJson(text: string, path: string, problems: string[]): unknown {
  if (text.trim() === '') return undefined;
  const offset = jsonErrorOffset(text);
  if (offset < 0) return JSON.parse(text);
  problems.push(`the configuration file ${path} is not JSON: see ${lineAndColumn(text, offset)}`);
  return undefined;
}

/** Messages of the YAML library may quote a secret: its code and the position are enough. */
function parseYaml(text: string, path: string, problems: string[]): unknown {
  const document = parseDocument(text, { prettyErrors: false });
  const [fault] = [...document.errors, ...document.warnings];
  if (fault !== undefined) {
    const where = lineAndColumn(text, fault.pos[0]);
    problems.push(
      `the configuration file ${path} is not sound YAML: see ${where} (${fault.code}); quote values with special characters`,
    );
    return undefined;
  }
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch {
    problems.push(
      `the configuration file ${path} is not sound YAML: an alias (*name) stands for nothing; quote values that start with *`,
    );
    return undefined;
  }
}
