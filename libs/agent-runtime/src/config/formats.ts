/**
 * The formats of settings: how text becomes a value, and what a message says is allowed.
 *
 * convict checks the values; it does not read text strictly ("80a" is 80 to it, and any word but
 * "false" is true), so text is read here. Formats which convict does not have are added to it.
 */
import convict from 'convict';

import type { Setting } from '@kafnus/agent-contract';
import { jsonErrorOffset } from './json-position.js';

interface Format {
  /** Completes "it must be ...". */
  readonly allowed: string;
  /** @throws FormatError */
  readonly fromText: (text: string) => unknown;
  /** For values that a file gives as other than text; the default takes them as they are. */
  readonly fromData?: (data: unknown) => unknown;
  /** For formats that convict does not know. */
  readonly check?: (value: unknown) => boolean;
}

/**
 * The value is not what {@link Format.allowed} says; the message may give details. It never
 * contains the value, which may be a secret.
 */
class FormatError extends Error {}

function match(pattern: RegExp, text: string): string {
  if (!pattern.test(text)) throw new FormatError();
  return text;
}

const wholeNumber = (text: string): number => Number(match(/^[+-]?\d{1,15}$/, text.trim()));
const isInteger = (value: unknown, low: number, high: number): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high;
const isText = (value: unknown, pattern: RegExp): boolean => typeof value === 'string' && pattern.test(value);

function isHttpUrl(value: unknown): boolean {
  if (typeof value !== 'string' || !URL.canParse(value)) return false;
  const { protocol, username, password } = new URL(value);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}

const words: Readonly<Record<string, boolean>> = {
  true: true,
  false: false,
  yes: true,
  no: false,
  on: true,
  off: false,
  1: true,
  0: false,
};

/** One of `host:port`, `10.0.0.1:port`, `[::1]:port`. */
const brokerAddress = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([1-9]\d{0,4})$/;

function brokers(text: string): string {
  const list = text
    .split(',')
    .map((broker) => broker.trim())
    .filter((broker) => broker !== '');
  if (list.length === 0 || !list.every((broker) => Number(brokerAddress.exec(broker)?.[1] ?? 65536) <= 65535))
    throw new FormatError();
  return list.join(',');
}

function textList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** JSON text, because convict takes a dot in the name of an object's property for nesting. */
function properties(data: unknown): string {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) throw new FormatError();
  for (const [name, value] of Object.entries(data)) {
    if (!['string', 'number', 'boolean'].includes(typeof value)) {
      throw new FormatError(`the property ${JSON.stringify(name)} must be a text, a number, true or false`);
    }
  }
  return JSON.stringify(data);
}

function propertiesFromText(text: string): string {
  const offset = jsonErrorOffset(text);
  if (offset >= 0) {
    const what = offset < text.length ? 'an unexpected character' : 'the text ends too early';
    throw new FormatError(`it is not JSON: ${what} at position ${offset}`);
  }
  const data: unknown = JSON.parse(text);
  return properties(data);
}

const maxMilliseconds = 2 ** 31 - 1;

const formats: Readonly<Record<string, Format>> = {
  String: { allowed: 'a text (in a file: in quotes)', fromText: (text) => text },
  Boolean: {
    allowed: 'true or false',
    fromText: (text) => {
      const word = text.trim().toLowerCase();
      if (!Object.hasOwn(words, word)) throw new FormatError();
      return words[word];
    },
  },
  Number: {
    allowed: 'a number',
    fromText: (text) => Number(match(/^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i, text.trim())),
  },
  int: { allowed: 'a whole number', fromText: wholeNumber },
  nat: { allowed: 'a whole number, 0 or more', fromText: wholeNumber },
  port: { allowed: 'a port number, 0 to 65535', fromText: wholeNumber },
  Array: {
    allowed: 'a list of texts, separated by commas',
    fromText: textList,
    fromData: (data) => {
      if (!Array.isArray(data) || !data.every((item) => typeof item === 'string')) throw new FormatError();
      return data;
    },
  },
  positive: {
    allowed: 'a whole number, 1 or more',
    fromText: wholeNumber,
    check: (value) => isInteger(value, 1, maxMilliseconds),
  },
  /** Bounded: timers and librdkafka use 31 bits, and a longer timer would fire at once. */
  milliseconds: {
    allowed: `a whole number of milliseconds, 1 to ${maxMilliseconds}`,
    fromText: wholeNumber,
    check: (value) => isInteger(value, 1, maxMilliseconds),
  },
  replication: {
    allowed: "a number of replicas, 1 or more, or -1 for the broker's default",
    fromText: wholeNumber,
    check: (value) => value !== 0 && isInteger(value, -1, 32767),
  },
  brokers: {
    allowed: 'host:port, several separated by commas',
    fromText: brokers,
    fromData: (data) => brokers(Array.isArray(data) ? data.join(',') : ''),
    check: (value) => isText(value, /./),
  },
  /** Names that become part of topic names and transactional ids. */
  identifier: {
    allowed: '1 to 200 letters, digits, dots, dashes and underscores',
    fromText: (text) => text.trim(),
    check: (value) => isText(value, /^[A-Za-z0-9._-]{1,200}$/),
  },
  /** Without credentials in it: they have settings of their own, which are never shown. */
  httpUrl: {
    allowed: 'an address such as https://host/path, without a user or password in it',
    fromText: (text) => text.trim(),
    check: (value) => value === '' || isHttpUrl(value),
  },
  /** What an HTTP header can carry (RFC 6750, section 2.1, is narrower; people use more). */
  token: {
    allowed: 'visible ASCII characters without spaces',
    fromText: (text) => text,
    check: (value) => isText(value, /^[\x21-\x7e]*$/),
  },
  properties: {
    allowed: 'a JSON object of librdkafka or Kafka properties, such as {"queued.min.messages": 1000}',
    fromText: propertiesFromText,
    fromData: properties,
    check: (value) => typeof value === 'string',
  },
};

convict.addFormats(
  Object.fromEntries(
    Object.entries(formats).flatMap(([name, { check }]) =>
      check === undefined
        ? []
        : [
            [
              name,
              {
                validate: (value: unknown): void => {
                  if (!check(value)) throw new FormatError();
                },
              },
            ],
          ],
    ),
  ),
);

/** What a value of the setting must be: completes "it must be ...". */
export function allowedFor({ format }: Setting): string {
  if (typeof format !== 'string') return `one of ${format.filter((option) => option !== '').join(', ')}`;
  return formats[format]?.allowed ?? `of the format ${format}`;
}

/**
 * The value of a setting from what a source gave: text from the environment or an argument, data
 * from a file; from `undefined` the default.
 * @throws Error whose message says what is wrong, and never holds the value
 */
export function valueOf(key: string, setting: Setting, given: unknown): unknown {
  const properties = setting.format === 'properties';
  const schema = {
    ...setting,
    format: convictFormat(setting),
    default: properties ? JSON.stringify(setting.default) : setting.default,
  };
  // One convict per key: it reports all problems in one text, and each of ours must name its
  // source.
  const one = convict<Record<string, unknown>>({ [key]: schema }, { env: {}, args: [] });
  try {
    if (given !== undefined) one.set(key, read(setting, given));
    one.validate({ allowed: 'strict' });
  } catch (error) {
    const reason = error instanceof FormatError && error.message !== '' ? `${error.message}; ` : '';
    throw new Error(`${reason}it must be ${allowedFor(setting)}`);
  }
  const value: unknown = one.get(key);
  return properties ? JSON.parse(String(value)) : value;
}

function convictFormat({ format }: Setting): string | unknown[] {
  return typeof format === 'string' ? format : [...format];
}

/** Allowed words are taken in any case (`SASL_SSL`, `sasl_ssl`); the value is the schema's. */
function read({ format }: Setting, given: unknown): unknown {
  if (typeof format !== 'string') {
    const wanted = typeof given === 'string' ? given.trim().toLowerCase() : given;
    return format.find((option) => option.toLowerCase() === wanted) ?? given;
  }
  const known = formats[format];
  if (typeof given === 'string') return known === undefined ? given : known.fromText(given);
  return known?.fromData === undefined ? given : known.fromData(given);
}
