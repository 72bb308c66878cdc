/** The database: how it is found, and how changes get into it. */
import pg from 'pg';
import { readFileSync } from 'node:fs';
import { UsageError, type Io } from '../command.js';
import { messageOf } from '../error-text.js';
import type { Catalog } from './catalog.js';
import { changeSql, type Change } from './change.js';
import type { Plan } from './plan.js';
import { readCatalog } from './read-catalog.js';

/** How a database is reached. The password is in here and goes nowhere else. */
export interface DatabaseAddress {
  readonly config: pg.ClientConfig;
}

/**
 * From `--database`, else KAFNUS_DATABASE_URL (or the file that KAFNUS_DATABASE_URL_FILE names), else the variables of
 * PostgreSQL's own tools (PGHOST, PGDATABASE, ...).
 * @returns undefined when none of them is there
 * @throws UsageError that never holds the URL: it may have a password
 */
export function databaseAddress(option: string | undefined, env: Io['env']): DatabaseAddress | undefined {
  const given = option ?? env['KAFNUS_DATABASE_URL'] ?? '';
  const file = env['KAFNUS_DATABASE_URL_FILE'] ?? '';
  if (given !== '') return fromUrl(given, option === undefined ? 'KAFNUS_DATABASE_URL' : '--database');
  if (file !== '') {
    try {
      return fromUrl(readFileSync(file, 'utf8').trim(), 'KAFNUS_DATABASE_URL_FILE');
    } catch (error) {
      if (error instanceof UsageError) throw error;
      throw new UsageError(`KAFNUS_DATABASE_URL_FILE cannot be read: ${messageOf(error)}`);
    }
  }
  if (!['PGHOST', 'PGDATABASE', 'PGUSER', 'PGPORT'].some((name) => (env[name] ?? '') !== '')) return undefined;
  const { PGHOST: host, PGPORT: port, PGDATABASE: database, PGUSER: user, PGPASSWORD: password } = env;
  return {
    config: {
      ...(host && { host }),
      ...(port && { port: Number(port) }),
      ...(database && { database }),
      ...(user && { user }),
      ...(password && { password }),
    },
  };
}

function fromUrl(text: string, source: string): DatabaseAddress {
  const shape = 'postgresql://user:password@host:5432/database';
  if (text.startsWith('jdbc:')) throw new UsageError(`${source} is a JDBC URL: write ${shape}`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol))
    throw new UsageError(`${source} is no URL such as ${shape}`);
  return { config: { connectionString: text } };
}

/** Waiting for others: a table that is in use must not keep everybody behind us waiting. */
const LOCK_TIMEOUT = '10s';
const CONNECT_MS = 10_000;
/** Any number that no other program takes: two runs of apply wait for each other. ("kafnusTB") */
const ADVISORY_LOCK = '7737578259402150978';

/** The head of the transaction in which changes are made; a person runs it as well as this program. */
export const transactionHead: readonly string[] = [
  'BEGIN;',
  `SET LOCAL lock_timeout = '${LOCK_TIMEOUT}';`,
  `SELECT pg_advisory_xact_lock(${ADVISORY_LOCK});`,
];

/** Runs `work` with a connection. @throws Error that names the server, and never the password */
export async function withDatabase<T>(
  { config }: DatabaseAddress,
  work: (client: pg.Client, server: string) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ application_name: 'kafnus tables', connectionTimeoutMillis: CONNECT_MS, ...config });
  const server = `${client.host}:${client.port}`;
  // A connection that breaks between two queries; the next query tells.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    const who = `the database ${client.database ?? ''} on ${server} as ${client.user ?? ''}`;
    throw new Error(`no connection to ${who}: ${connectProblem(error)}`, { cause: error });
  }
  try {
    return await work(client, server);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Of several addresses that were tried in vain, Node tells only in the members of an error without a message. */
function connectProblem(error: unknown): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  return messageOf(first) || 'it does not answer';
}

/** What there is now. */
export async function catalogOf(address: DatabaseAddress, schemas: readonly string[]): Promise<Catalog> {
  return withDatabase(address, async (client, server) => {
    await client.query('BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ');
    const catalog = await readCatalog(client, schemas, server);
    await client.query('COMMIT');
    return catalog;
  });
}

/** What was there before, and what was done. */
export interface Applied {
  readonly plan: Plan;
  readonly catalog: Catalog;
}

/** Somebody else made it between our look and our statement: schema, table, column, or a row of the catalog itself. */
const MADE_MEANWHILE: ReadonlySet<string> = new Set(['42P06', '42P07', '42701', '23505', '42710']);

/**
 * Makes what is missing, all or nothing: the catalog is read, and the plan made of it, in the transaction and behind the
 * lock, so that what another run has just made is not missing any more.
 * @throws Error that says which statement failed, why, and what to do
 */
export async function applyPlan(
  address: DatabaseAddress,
  schemas: readonly string[],
  planFor: (catalog: Catalog) => Plan,
): Promise<Applied> {
  return withDatabase(address, async (client, server) => {
    for (let attempt = 1; ; attempt += 1) {
      let current: Change | undefined;
      try {
        for (const statement of transactionHead) await client.query(statement);
        const catalog = await readCatalog(client, schemas, server);
        const plan = planFor(catalog);
        for (const change of plan.changes) {
          current = change;
          await client.query(changeSql(change));
        }
        await client.query('COMMIT');
        return { plan, catalog };
      } catch (error) {
        await client.query('ROLLBACK').catch(() => undefined);
        // A sink with schema.evolution=basic does not know our lock.
        if (attempt < 3 && MADE_MEANWHILE.has(codeOf(error))) continue;
        throw new Error(failure(error, current), { cause: error });
      }
    }
  });
}

function codeOf(error: unknown): string {
  return error instanceof pg.DatabaseError ? (error.code ?? '') : '';
}

function failure(error: unknown, change: Change | undefined): string {
  const what = change === undefined ? '' : `, at: ${changeSql(change)}`;
  return `nothing was changed: ${messageOf(error)}${advice(codeOf(error), change)}${what}`;
}

function advice(code: string, change: Change | undefined): string {
  if (change?.kind === 'extension') {
    return code === '42501'
      ? '. Let an administrator run CREATE EXTENSION postgis in this database, and run this again'
      : '. Install PostGIS on the server, e.g. the package postgresql-15-postgis-3, and run this again';
  }
  switch (code) {
    case '42501':
      return '. Run this as the owner of the schemas and tables, or let the owner GRANT CREATE to this user';
    case '55P03':
      return `. Somebody holds a lock for longer than ${LOCK_TIMEOUT} (see pg_stat_activity); run this again when it is free`;
    default:
      return '';
  }
}
