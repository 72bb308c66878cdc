/** Connects to the database, and applies a plan to it. */
import pg from 'pg';
import { readFileSync } from 'node:fs';
import { messageOf } from '@kafnus/kafka-admin';
import { UsageError, type Io } from '../command.js';
import type { DatabaseCatalog } from './database-catalog.js';
import { changeSql, type TableChange } from './table-change.js';
import type { TablesPlan } from './plan-tables.js';
import { readCatalog } from './read-catalog.js';

/** The connection settings. Nothing else has the password. */
export interface DatabaseAddress {
  readonly config: pg.ClientConfig;
}

/**
 * From `--database`, else KAFNUS_DATABASE_URL or KAFNUS_DATABASE_URL_FILE, else the variables of
 * libpq (PGHOST, PGDATABASE, ...).
 * @returns undefined when none of them is set
 * @throws UsageError, without the URL: it may have a password
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
    throw new UsageError(`${source} is not a URL such as ${shape}`);
  return { config: { connectionString: text } };
}

/** While ALTER TABLE waits for its lock, later statements on the table wait behind it. */
const lockTimeout = '10s';
const connectTimeoutMs = 10_000;
/** Serialises runs of apply. The number is arbitrary: the bytes of "kafnusTB". */
const advisoryLock = '7737578259402150978';

/** The first statements of the transaction. `plan` prints them, and `apply` executes them. */
export const transactionHead: readonly string[] = [
  'BEGIN;',
  `SET LOCAL lock_timeout = '${lockTimeout}';`,
  `SELECT pg_advisory_xact_lock(${advisoryLock});`,
];

/** Runs `work` with a connection. @throws Error with the server, and never with the password */
export async function withDatabase<T>(
  { config }: DatabaseAddress,
  work: (client: pg.Client, server: string) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    application_name: 'kafnus tables',
    connectionTimeoutMillis: connectTimeoutMs,
    ...config,
  });
  const server = `${client.host}:${client.port}`;
  // The connection broke between two queries. The next query rejects with the error.
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

/**
 * When several addresses fail, Node throws an AggregateError without a message: its members have
 * them.
 */
function connectProblem(error: unknown): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  return messageOf(first) || 'it does not answer';
}

export async function catalogOf(address: DatabaseAddress, schemas: readonly string[]): Promise<DatabaseCatalog> {
  return withDatabase(address, async (client, server) => {
    await client.query('BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ');
    const catalog = await readCatalog(client, schemas, server);
    await client.query('COMMIT');
    return catalog;
  });
}

/** The plan that was applied, and the catalog that it was made for. */
export interface Applied {
  readonly plan: TablesPlan;
  readonly catalog: DatabaseCatalog;
}

/** Somebody else created the schema, table, column or catalog row after the catalog was read. */
const concurrentlyCreatedSqlStates: ReadonlySet<string> = new Set(['42P06', '42P07', '42701', '23505', '42710']);

/**
 * Creates what is missing, in one transaction. The catalog is read and the plan made in it, behind
 * the advisory lock, so that they include what another run has just created.
 * @throws Error with the statement that failed, the reason and what to do
 */
export async function applyPlan(
  address: DatabaseAddress,
  schemas: readonly string[],
  planFor: (catalog: DatabaseCatalog) => TablesPlan,
): Promise<Applied> {
  return withDatabase(address, async (client, server) => {
    for (let attempt = 1; ; attempt += 1) {
      let current: TableChange | undefined;
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
        // A sink with schema.evolution=basic does not take the advisory lock.
        if (attempt < 3 && concurrentlyCreatedSqlStates.has(sqlStateOf(error))) continue;
        throw new Error(failure(error, current), { cause: error });
      }
    }
  });
}

function sqlStateOf(error: unknown): string {
  return error instanceof pg.DatabaseError ? (error.code ?? '') : '';
}

function failure(error: unknown, change: TableChange | undefined): string {
  const what = change === undefined ? '' : `, at: ${changeSql(change)}`;
  return `nothing was changed: ${messageOf(error)}${advice(sqlStateOf(error), change)}${what}`;
}

function advice(code: string, change: TableChange | undefined): string {
  if (change?.kind === 'extension') {
    return code === '42501'
      ? '. Let a superuser run CREATE EXTENSION postgis in this database, and run this again'
      : '. Install PostGIS on the server, e.g. the package postgresql-15-postgis-3, and run this again';
  }
  switch (code) {
    case '42501': // insufficient_privilege
      return '. Run this as the owner of the schemas and tables, or let the owner GRANT CREATE to this user';
    case '55P03': // lock_not_available
      return `. Another session holds a lock for longer than ${lockTimeout} (see pg_stat_activity); run this again when it is released`;
    default:
      return '';
  }
}
