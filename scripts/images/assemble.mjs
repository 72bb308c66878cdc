/**
 * Collects the files of the images from an installed and compiled clone:
 *
 *     OUT/node_modules      the runtime dependencies, without documentation and sources
 *     OUT/PROGRAM           package.json, LICENSE and the compiled code of one program,
 *                           such as services/historic
 *
 * Used by the Dockerfiles: `node assemble.mjs PRODUCTION OUT PROGRAM...`, where PRODUCTION is a
 * folder with the same packages laid out flat, without those for development.
 */
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, dirname, extname, join, relative } from 'node:path';

const [production, out, ...programs] = process.argv.slice(2);
const CLIENT = '@confluentinc/kafka-javascript';
/** Of the client's dependencies: the others serve its installation. */
const CLIENT_NEEDS = ['bindings'];
/** Of the client's files: the others are the sources from which it is built. */
const CLIENT_FILES = /^(package\.json|librdkafka\.js|LICENSE.*|lib(\/.*)?)$/;
const NO_CODE = /(\.(map|ts|mts|cts|flow|markdown|yml|tsbuildinfo)$)|((?<!LICENSE|NOTICE)\.md$)/i;
const NO_CODE_FOLDERS =
  /^(test|tests|__tests__|docs|example|examples|benchmark|benchmarks|coverage|\.github|\.vscode)$/;

const manifest = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
const workspace = new Map(globSync('libs/*').map((folder) => [manifest(folder).name, folder]));

/** Whether a file of a package is needed at runtime. */
function isKept(folder, file) {
  const path = relative(folder, file);
  return path === '' || !(NO_CODE.test(path) || NO_CODE_FOLDERS.test(path) || basename(path) === 'node_modules');
}

function copy(from, to, keeps = (file) => isKept(from, file)) {
  cpSync(from, to, { recursive: true, filter: keeps });
}

/** The folder that Node would find for a dependency of the package in `folder`. */
function find(name, folder) {
  for (let at = folder; at.startsWith(production); at = dirname(at)) {
    const found = join(at, 'node_modules', name);
    if (existsSync(found)) return realpathSync(found);
  }
  throw new Error(`${name}, which ${folder} needs, is not installed in ${production}`);
}

const done = new Set();

/**
 * Copies the dependencies of a package and theirs; each keeps its place, and with it who finds it.
 */
function take(folder, { name, dependencies = {}, optionalDependencies = {} }) {
  const needed = name === CLIENT ? CLIENT_NEEDS : Object.keys({ ...dependencies, ...optionalDependencies });
  for (const dependency of needed) {
    const library = workspace.get(dependency);
    const from = library === undefined ? find(dependency, folder) : join(production, library);
    if (done.has(from)) continue;
    done.add(from);
    if (library === undefined) {
      const to = join(out, relative(production, from));
      copy(
        from,
        to,
        dependency === CLIENT ? (file) => CLIENT_FILES.test(relative(from, file)) || file === from : undefined,
      );
      if (dependency === CLIENT) copyNativeClient(to);
    } else {
      copyCompiled(library, join(out, 'node_modules', dependency));
    }
    take(from, manifest(from));
  }
}

function copyCompiled(folder, to) {
  mkdirSync(to, { recursive: true });
  cpSync(join(folder, 'package.json'), join(to, 'package.json'));
  copy(join(folder, 'dist'), join(to, 'dist'));
}

/** The addon, with librdkafka inside, or beside it where it was compiled here. */
function copyNativeClient(to) {
  const build = join(realpathSync(join('libs/kafka-admin/node_modules', CLIENT)), 'build');
  const files = ['Release/confluent-kafka-javascript.node', 'deps/librdkafka.so.1', 'deps/librdkafka++.so.1'];
  for (const file of files.filter((name) => existsSync(join(build, name)))) {
    cpSync(join(build, file), join(to, 'build', file));
  }
}

rmSync(out, { recursive: true, force: true });
for (const program of programs) {
  take(join(production, program), manifest(program));
  const to = join(out, program);
  copyCompiled(program, to);
  cpSync('LICENSE', join(to, 'LICENSE'));
}
