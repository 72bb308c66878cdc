/**
 * Parses dates as NGSIv2 writes them: strict ISO 8601. `Date.parse` is not used: it accepts other
 * formats, assumes local time, and drops digits after the milliseconds.
 */

/** A point in time. One number of microseconds would not be exact after the year 2255. */
export interface Instant {
  /** Milliseconds since the epoch, rounded down. */
  readonly millis: number;
  /** The remaining microseconds: 0 to 999. Further digits are dropped. */
  readonly micros: number;
}

const dayMs = 86_400_000;
const hourMs = 3_600_000;
const minuteMs = 60_000;
/** The range of a JavaScript date: 100,000,000 days before and after 1970. */
const maxDateMs = 8.64e15;

const datePattern =
  /(?<year>[+-]\d{6}|\d{4})(?:-?W(?<week>\d\d)(?:-?(?<weekday>\d))?|-?(?<ordinal>\d{3})|-(?<month>\d\d)(?:-(?<day>\d\d))?|(?<month2>\d\d)(?<day2>\d\d)?)?/;
const timePattern =
  /(?<hour>\d\d)(?::(?<minute>\d\d)(?::(?<second>\d\d)(?:[.,](?<fraction>\d+))?)?|(?<minute2>\d\d)(?:(?<second2>\d\d)(?:[.,](?<fraction2>\d+))?)?)?/;
const zonePattern = /(?:(?:[Zz]|(?<sign>[+-])(?<hours>\d\d)(?::?(?<minutes>\d\d))?)(?:\[[\w/+-]+\])?)?/;
const iso8601 = new RegExp(`^${datePattern.source}(?:[Tt]${timePattern.source}${zonePattern.source})?$`);

/**
 * Reads a date such as `2025-01-02T03:04:05.678Z`.
 *
 * Accepted are calendar (`2025-01-02`, `20250102`), week (`2025-W10-2`) and ordinal (`2025-100`)
 * dates; a year or a month alone (its first day); years of six digits with a sign; a time to the
 * hour, the minute, the second or a fraction of it after a point or comma; `24:00` as the end of a
 * day; `Z`, `+02:00`, `+0200`, `+02` or nothing, which means UTC; the name of the time zone in
 * brackets after the offset (RFC 9557; the offset decides); `t` and `z` in lower case. Refused are
 * dates that do not exist, leap seconds, a blank instead of `T`, and seconds since the epoch.
 * @returns undefined when the text is not such a date
 */
export function parseInstant(text: string): Instant | undefined {
  const millis = orionMillis(text);
  if (millis !== undefined) return { millis, micros: 0 };

  const parts = iso8601.exec(text)?.groups;
  if (!parts) return undefined;
  const days = daysOf(parts);
  const time = timeOf(parts);
  const offset = offsetOf(parts);
  if (days === undefined || time === undefined || offset === undefined) return undefined;
  const total = days * dayMs + time - offset;
  if (Math.abs(total) > maxDateMs) return undefined;
  const fraction = parts['fraction'] ?? parts['fraction2'] ?? '';
  return { millis: total, micros: Number(fraction.slice(3, 6).padEnd(3, '0')) };
}

/** Microseconds since the epoch, to compare and to store: exact until 2255, ordered after it. */
export function epochMicros(instant: Instant): number {
  return instant.millis * 1000 + instant.micros;
}

/** Dates that `java.time`'s ISO_OFFSET_DATE_TIME, and so Debezium's ZonedTimestamp, accepts. */
const javaDateTime =
  /^\d{4}-\d\d-\d\dT(?!24)\d\d:\d\d:\d\d(?:\.\d{1,9})?(?<zone>Z|[+-](?:(?:0\d|1[0-7]):\d\d|18:00))?$/;

/**
 * The text of a date with a zone, for Debezium's ZonedTimestamp: as received if Java accepts it,
 * with `Z` added if only the zone is missing, else formatted in UTC.
 */
export function zonedText(text: string, instant: Instant): string {
  const match = javaDateTime.exec(text);
  if (match) return match.groups?.['zone'] === undefined ? `${text}Z` : text;
  const iso = new Date(instant.millis).toISOString();
  return instant.micros === 0 ? iso : `${iso.slice(0, -1)}${String(instant.micros).padStart(3, '0')}Z`;
}

/**
 * The milliseconds of `yyyy-mm-ddThh:mm:ss.sssZ`, the format in which Orion always writes dates.
 * Every entity has one, so this is done without a regular expression.
 */
function orionMillis(text: string): number | undefined {
  if (text.length !== 24 || text.charCodeAt(23) !== 0x5a || text.charCodeAt(10) !== 0x54) return undefined;
  if (text.charCodeAt(4) !== 0x2d || text.charCodeAt(7) !== 0x2d) return undefined;
  if (text.charCodeAt(13) !== 0x3a || text.charCodeAt(16) !== 0x3a || text.charCodeAt(19) !== 0x2e) return undefined;
  const century = pair(text, 0);
  const years = pair(text, 2);
  const month = pair(text, 5);
  const day = pair(text, 8);
  const hour = pair(text, 11);
  const minute = pair(text, 14);
  const second = pair(text, 17);
  const tenths = pair(text, 20);
  const last = text.charCodeAt(22) - 0x30;
  if (century < 0 || years < 0 || tenths < 0 || !(last >= 0 && last <= 9)) return undefined;
  const year = century * 100 + years;
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= daysIn(month, year))) return undefined;
  if (!(hour >= 0 && hour <= 23 && minute >= 0 && minute <= 59 && second >= 0 && second <= 59)) return undefined;
  const days = daysBefore(year) + daysBeforeMonth(month, year) + day - 1;
  return days * dayMs + hour * hourMs + minute * minuteMs + second * 1000 + tenths * 10 + last;
}

/** The number that two digits at a place form; negative when they are not digits. */
function pair(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 0x30;
  const ones = text.charCodeAt(at + 1) - 0x30;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1;
}

type Parts = Readonly<Record<string, string | undefined>>;

/** Days since the epoch; undefined for a day that does not exist. */
function daysOf(parts: Parts): number | undefined {
  // ISO 8601 has no year -000000.
  if (parts['year'] === '-000000') return undefined;
  const year = Number(parts['year']);
  if (parts['week'] !== undefined) {
    const week = Number(parts['week']);
    const day = Number(parts['weekday'] ?? 1);
    const monday = firstMonday(year);
    if (week < 1 || monday + week * 7 > firstMonday(year + 1) || day < 1 || day > 7) return undefined;
    return monday + (week - 1) * 7 + day - 1;
  }
  if (parts['ordinal'] !== undefined) {
    const day = Number(parts['ordinal']);
    return day >= 1 && day <= (isLeap(year) ? 366 : 365) ? daysBefore(year) + day - 1 : undefined;
  }
  const month = Number(parts['month'] ?? parts['month2'] ?? 1);
  const day = Number(parts['day'] ?? parts['day2'] ?? 1);
  if (month < 1 || month > 12 || day < 1 || day > daysIn(month, year)) return undefined;
  return daysBefore(year) + daysBeforeMonth(month, year) + day - 1;
}

/** Milliseconds of the day, rounded down; undefined for a time that does not exist. */
function timeOf(parts: Parts): number | undefined {
  const hour = Number(parts['hour'] ?? 0);
  const minute = Number(parts['minute'] ?? parts['minute2'] ?? 0);
  const second = Number(parts['second'] ?? parts['second2'] ?? 0);
  const fraction = parts['fraction'] ?? parts['fraction2'] ?? '';
  if (hour > 24 || minute > 59 || second > 59) return undefined;
  if (hour === 24 && (minute > 0 || second > 0 || Number(fraction) > 0)) return undefined;
  return hour * hourMs + minute * minuteMs + second * 1000 + Number(fraction.slice(0, 3).padEnd(3, '0'));
}

/** Milliseconds east of UTC; undefined for an offset that does not exist. */
function offsetOf(parts: Parts): number | undefined {
  const hours = Number(parts['hours'] ?? 0);
  const minutes = Number(parts['minutes'] ?? 0);
  if (hours > 23 || minutes > 59) return undefined;
  return (parts['sign'] === '-' ? -1 : 1) * (hours * hourMs + minutes * minuteMs);
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** Days from the epoch to the first of January, in the proleptic Gregorian calendar. */
function daysBefore(year: number): number {
  const past = year - 1;
  return past * 365 + Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400) - 719_162;
}

const daysBeforeMonths = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

function daysBeforeMonth(month: number, year: number): number {
  return (daysBeforeMonths[month - 1] ?? 0) + (month > 2 && isLeap(year) ? 1 : 0);
}

function daysIn(month: number, year: number): number {
  if (month === 2) return isLeap(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** The Monday of week 1 of ISO 8601, which has the fourth of January, in days since the epoch. */
function firstMonday(year: number): number {
  const fourth = daysBefore(year) + 3;
  // The epoch was a Thursday: day 0 is 3 days after a Monday.
  return fourth - ((((fourth + 3) % 7) + 7) % 7);
}
