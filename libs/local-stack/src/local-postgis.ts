import { randomBytes } from 'node:crypto';
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type QueryResultRow } from 'pg';
import { runCommand } from './command.js';
import { ServerProcess } from './server-process.js';
import { findPostgis, type PostgisInstallation } from './local-postgis-install.js';
import { freePorts } from './ports.js';

/** Options of {@link startLocalPostgis}. */
export interface LocalPostgisOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** Default: one that nobody can guess, and that a test can search logs for. */
  readonly password?: string;
}

/** A real PostgreSQL with PostGIS on this machine, on 127.0.0.1. */
export interface LocalPostgis {
  readonly host: string;
  readonly port: number;
  readonly database: 'kafnus';
  /** May do everything. */
  readonly user: 'kafnus';
  readonly password: string;
  /** `postgresql://...`, for psql and pg. */
  readonly url: string;
  /** `jdbc:postgresql://...`, without user and password. */
  readonly jdbcUrl: string;
  /** What the server logs. */
  readonly logFile: string;
  /**
   * Runs one statement on a connection of its own: it works as soon as the server is back after an
   * outage, and keeps no process alive.
   * @throws Error when the server is down or refuses the statement
   */
  query<R extends object>(sql: string, parameters?: readonly unknown[]): Promise<R[]>;
  /**
   * An outage: an immediate shutdown, in which every connection breaks. What was committed is kept.
   */
  kill(): Promise<void>;
  /** Ends {@link kill}: the same port, the same data. */
  start(): Promise<void>;
  /** Ends it and deletes the data. */
  stop(): Promise<void>;
  /** Resolves when the server has ended, with how. */
  ended(): Promise<string>;
}

/** A busy machine with two cores. */
const START_DEADLINE = 30_000;
const CONNECT_DEADLINE = 5000;

/**
 * Runs the server until a line comes on standard input, or its end: then the parent is dead,
 * however it died, and nobody will read the data any more. SIGQUIT is an immediate shutdown. A
 * shell gives its background jobs no standard input: hence descriptor 3.
 */
const EXIT_WITH_PARENT = `
folder=$1; shift
orphaned=
trap 'orphaned=yes' TERM
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _ <&3 || kill -TERM $$; kill -QUIT $server; } 2>/dev/null &
watcher=$!
wait $server; status=$?
if [ -n "$orphaned" ]; then wait $server; cd /; rm -rf "$folder"; fi
kill $watcher 2>/dev/null
exit $status
`;

/**
 * What makes a server quick and small whose data need not survive a crash of the machine. A kill
 * loses nothing.
 */
const SETTINGS = {
  fsync: 'off',
  full_page_writes: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  shared_buffers: '32MB',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // No socket in a folder that may not be ours to write to.
  unix_socket_directories: '',
};

/**
 * Starts a PostgreSQL with the extension PostGIS in the database `kafnus`, from the packages of
 * Debian or Ubuntu. It takes about two seconds, and the server dies with this process, however it
 * dies.
 * @throws Error that says what to install, or with the end of the server's log
 */
export async function startLocalPostgis(options: LocalPostgisOptions = {}): Promise<LocalPostgis> {
  const installation = findPostgis();
  const folder = mkdtempSync(join(tmpdir(), 'kafnus-postgis-'));
  const port = options.port ?? (await freePorts(1))[0] ?? 0;
  const password = options.password ?? randomBytes(12).toString('hex');
  const data = join(folder, 'data');
  const logFile = join(folder, 'log');
  const server = new ServerProcess({
    name: 'PostgreSQL',
    command: '/bin/sh',
    args: [
      '-c',
      EXIT_WITH_PARENT,
      'exit-with-parent',
      folder,
      join(installation.bin, 'postgres'),
      '-D',
      data,
      ...settings(port),
    ],
    env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' },
    cwd: folder,
    ...(installation.user && { user: installation.user }),
    logFiles: [logFile],
    isReady: () => answers(port, password),
    startDeadlineMs: START_DEADLINE,
    end: (child) => child.stdin?.end('quit\n'),
  });
  const removeData = (): void => rmSync(folder, { recursive: true, force: true });
  const stop = async (): Promise<void> => {
    await server.end();
    removeData();
  };
  // Until the server runs there is nobody else to do it when this process ends.
  process.once('exit', removeData);
  try {
    await createCluster(installation, folder, data, password);
    await server.start();
    process.off('exit', removeData);
    await run(port, 'postgres', password, 'create database kafnus');
    await run(port, 'kafnus', password, 'create extension postgis');
  } catch (error) {
    process.off('exit', removeData);
    await stop();
    throw error;
  }
  return {
    host: '127.0.0.1',
    port,
    database: 'kafnus',
    user: 'kafnus',
    password,
    url: `postgresql://kafnus:${encodeURIComponent(password)}@127.0.0.1:${port}/kafnus`,
    jdbcUrl: `jdbc:postgresql://127.0.0.1:${port}/kafnus`,
    logFile,
    query: <R extends object>(sql: string, parameters: readonly unknown[] = []): Promise<R[]> =>
      run<R & QueryResultRow>(port, 'kafnus', password, sql, parameters),
    kill: () => server.end(),
    start: () => server.start(),
    stop,
    ended: () => server.ended(),
  };
}

/** Makes the files of an empty server whose superuser is `kafnus`. */
async function createCluster(
  { bin, user }: PostgisInstallation,
  folder: string,
  data: string,
  password: string,
): Promise<void> {
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user !== undefined) for (const path of [folder, passwordFile]) chownSync(path, user.uid, user.gid);
  const login = ['--username=kafnus', `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
  const format = ['--encoding=UTF8', '--locale=C.UTF-8', '--no-sync'];
  await runCommand(join(bin, 'initdb'), ['-D', data, ...login, ...format], '', { cwd: folder, ...user });
  rmSync(passwordFile);
}

function settings(port: number): string[] {
  const all = { ...SETTINGS, listen_addresses: '127.0.0.1', port: `${port}` };
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Whether the server takes connections. */
async function answers(port: number, password: string): Promise<boolean> {
  try {
    await run(port, 'postgres', password, 'select 1');
    return true;
  } catch {
    return false;
  }
}

async function run<R extends QueryResultRow>(
  port: number,
  database: string,
  password: string,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<R[]> {
  const client = new Client({
    host: '127.0.0.1',
    port,
    database,
    user: 'kafnus',
    password,
    connectionTimeoutMillis: CONNECT_DEADLINE,
  });
  // A connection that breaks tells the statement that waits on it; the event is for those that have
  // none.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<R>(sql, [...parameters]);
    return rows;
  } finally {
    await client.end();
  }
}
