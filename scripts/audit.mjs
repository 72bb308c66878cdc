/**
 * Audits the dependencies: every one is pinned, production dependencies have licences compatible
 * with Apache-2.0, only listed packages run install scripts, and no known vulnerability is present.
 *
 *     node scripts/audit.mjs [--strict]
 *
 * With --strict, a registry without a list of vulnerabilities is a failure as well.
 *
 * Prints a line for each check and `N passed, N failed` at the end; the exit code is 1 when
 * something failed.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const strict = process.argv.includes('--strict');
const allowedLicences = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'Python-2.0',
  'Unlicense',
  'Zlib',
]);

/** Runs the clone's pnpm. The output is used even when it exits with an error. */
async function pnpm(...args) {
  const program = join(root, '.tools/node_modules/pnpm/bin/pnpm.cjs');
  const options = { cwd: root, maxBuffer: 64 * 1024 * 1024, env: { ...process.env, CI: 'true' } };
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [program, ...args], options)) };
  } catch (error) {
    if (typeof error.stdout !== 'string') throw error;
    return { code: error.code, stdout: error.stdout, stderr: error.stderr };
  }
}

/** JSON that pnpm printed; what is none is an error with the end of it. */
function json({ stdout, stderr }) {
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Error(`pnpm says: ${`${stdout}${stderr}`.trim().slice(-500)}`);
  }
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** `A OR B` is fine when one of them is, `A AND B` when both are (SPDX; no name holds a space). */
function isAllowed(expression) {
  const text = expression.trim().replace(/^\(([^()]*)\)$/, '$1');
  if (/ OR /i.test(text)) return text.split(/ OR /i).some(isAllowed);
  if (/ AND /i.test(text)) return text.split(/ AND /i).every(isAllowed);
  return allowedLicences.has(text);
}

/** The packages that production installs, from the lockfile: name, version, licence, folder. */
async function productionPackages() {
  const byLicence = json(await pnpm('licenses', 'list', '--prod', '--json'));
  return Object.entries(byLicence).flatMap(([licence, packages]) =>
    packages.flatMap(({ name, versions, paths }) =>
      versions.map((version, index) => ({ name, version, licence, path: paths[index] ?? paths[0] })),
    ),
  );
}

/** @returns problems, and what to say when there are none */
const checks = {
  'dependencies are pinned': async () => {
    const folders = ['libs', 'services', 'tools'].flatMap((group) =>
      readdirSync(join(root, group)).map((name) => `${group}/${name}`),
    );
    const manifests = ['.', 'bench', ...folders].map((folder) => join(folder, 'package.json'));
    const problems = manifests.flatMap((manifest) => {
      const { dependencies, devDependencies } = readJson(join(root, manifest));
      return Object.entries({ ...dependencies, ...devDependencies })
        .filter(([, version]) => !/^(\d+\.\d+\.\d+(-[\w.]+)?|workspace:\*)$/.test(version))
        .map(([name, version]) => `${manifest}: ${name} is "${version}": write an exact version`);
    });
    const resolutions = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8').match(/^ {4}resolution: .*$/gm) ?? [];
    problems.push(
      ...resolutions
        .filter((line) => !/\{integrity: sha512-[\w+/=]+\}$/.test(line))
        .map((line) => `pnpm-lock.yaml: no package with a checksum: ${line.trim()}`),
    );
    const frozen = await pnpm('install', '--frozen-lockfile', '--lockfile-only', '--ignore-scripts', '--offline');
    if (frozen.code !== 0) problems.push(`pnpm-lock.yaml does not fit the package.json files: run make lockfile`);
    return { problems, told: `${manifests.length} manifests, ${resolutions.length} packages with checksums` };
  },

  'licences go with Apache-2.0': async () => {
    const packages = await productionPackages();
    const problems = packages
      .filter(({ licence }) => !isAllowed(licence))
      .map(({ name, version, licence }) => `${name} ${version} is under ${licence}`);
    const names = [...new Set(packages.map(({ licence }) => licence))].sort();
    return { problems, told: `${packages.length} production packages under ${names.join(', ')}` };
  },

  'no install scripts but those allowed': async () => {
    const workspace = readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8');
    const list = /^onlyBuiltDependencies:\n((?: +- .*\n)*)/m.exec(workspace)?.[1] ?? '';
    const allowed = new Set([...list.matchAll(/^ +- '?([^'\n]+?)'?$/gm)].map(([, name]) => name));
    const packages = await productionPackages();
    const scripted = packages.filter(({ path }) => {
      const { scripts = {} } = readJson(join(path, 'package.json'));
      return ['preinstall', 'install', 'postinstall'].some((name) => name in scripts);
    });
    const problems = scripted
      .filter(({ name }) => !allowed.has(name))
      .map(({ name, version }) => `${name} ${version} wants to run a script: read it, and allow it or do without`);
    return { problems, told: `allowed: ${[...allowed].join(', ')}` };
  },

  'no known vulnerabilities': async () => {
    const answer = json(await pnpm('audit', '--prod', '--json'));
    if (answer.error) {
      const message = `the registry does not say: ${answer.error.message ?? answer.error.code}`;
      return strict ? { problems: [message] } : { unknown: message };
    }
    const advisories = Object.values(answer.advisories ?? {});
    const problems = advisories.map(
      ({ module_name: name, severity, title, url, patched_versions: patched }) =>
        `${name}: ${title} (${severity}); patched in ${patched}: ${url}`,
    );
    return { problems, told: 'none known to the registry' };
  },
};

let passed = 0;
let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  const { problems = [], told, unknown } = await check().catch((error) => ({ problems: [error.message] }));
  if (unknown !== undefined) {
    console.log(`audit: ${name}: not checked, ${unknown}`);
    continue;
  }
  if (problems.length === 0) passed += 1;
  else failed += 1;
  console.log(`audit: ${name}: ${problems.length === 0 ? `ok (${told})` : 'FAILED'}`);
  for (const problem of problems) console.log(`  ${problem}`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
