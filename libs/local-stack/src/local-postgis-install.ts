import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { askCommand } from './command.js';

/** Where Debian and Ubuntu keep the programs of each version of PostgreSQL, and its extensions. */
const PROGRAMS = '/usr/lib/postgresql';
const EXTENSIONS = '/usr/share/postgresql';

/** What is installed on this machine. */
export interface PostgisInstallation {
  /** The folder of `postgres` and `initdb`. */
  readonly bin: string;
  /** Whose rights the server gets; undefined: ours. PostgreSQL refuses to be run by root. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
}

/** The newest PostgreSQL that has PostGIS. @throws Error that says what to install */
export function findPostgis(): PostgisInstallation {
  const found = look();
  if (typeof found === 'string') throw new Error(found);
  return found;
}

/**
 * Why no local PostGIS can be started on this machine, or undefined when it can. For tests:
 * {@link withPostgis}.
 */
export function whyNoLocalPostgis(): string | undefined {
  const found = look();
  return typeof found === 'string' ? found : undefined;
}

function look(): PostgisInstallation | string {
  const servers = versions().filter((version) => existsSync(join(PROGRAMS, version, 'bin/initdb')));
  const [newest] = servers;
  if (newest === undefined) {
    return 'A local PostGIS needs PostgreSQL, and there is none in /usr/lib/postgresql: install both with make setup-postgis';
  }
  const version = servers.find((name) => existsSync(join(EXTENSIONS, name, 'extension/postgis.control')));
  if (version === undefined) {
    return `A local PostGIS needs PostGIS for PostgreSQL ${newest}: install it with: apt-get install postgresql-${newest}-postgis-3`;
  }
  const bin = join(PROGRAMS, version, 'bin');
  if (process.getuid?.() !== 0) return { bin, user: undefined };
  const [uid, gid] = ['-u', '-g'].map((option) => Number(askCommand('id', option, 'postgres') ?? Number.NaN));
  if (uid === undefined || gid === undefined || Number.isNaN(uid + gid)) {
    return 'PostgreSQL refuses to be run by root, and there is no user postgres to run it as: adduser --system postgres';
  }
  return { bin, user: { uid, gid } };
}

/** `17`, `15`, ...: the newest first. */
function versions(): string[] {
  if (!existsSync(PROGRAMS)) return [];
  return readdirSync(PROGRAMS)
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(b) - Number(a));
}
