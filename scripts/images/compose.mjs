/**
 * Checks deploy/compose without Docker: every referenced file exists, and every setting of an agent
 * is valid. When Docker is installed, it validates the files as well.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const { parse } = createRequire(resolve('libs/agent-runtime/package.json'))('yaml');
const folder = 'deploy/compose';
const files = ['compose.yaml', 'compose.dev.yaml'];

const read = (path) => parse(readFileSync(join(folder, path), 'utf8'), { merge: true });
const isPath = (text) => text.startsWith('.');

/** Every service of every file, as [name, service]. */
function services() {
  return files.flatMap((file) => Object.entries(read(file).services));
}

function hostPaths(service) {
  const mounted = (service.volumes ?? []).map((volume) => volume.split(':')[0]).filter(isPath);
  const { context, dockerfile } = service.build ?? {};
  return context === undefined ? mounted : [...mounted, join(context, dockerfile)];
}

/** Returns the problems as text; empty when there is none. */
export function composeProblems(agents) {
  const all = services();
  const base = read('compose.yaml').services;
  const example = readFileSync(join(folder, '.env.example'), 'utf8');
  const missing = all
    .flatMap(([, service]) => hostPaths(service))
    .filter((path) => !existsSync(join(folder, path)))
    .map((path) => `${path} is not there`);

  const unknown = agents.flatMap((agent) => {
    const help = execFileSync('node', [`services/${agent}/dist/main.js`, '--help'], { encoding: 'utf8' });
    return [agent, `${agent}-topics`].flatMap((name) =>
      Object.keys(base[name]?.environment ?? {})
        .filter((variable) => !help.includes(`  ${variable}\n`))
        .map((variable) => `${name}: ${variable} is no setting of the agent`),
    );
  });

  const unpinned = all
    .map(([, { image }]) => image)
    .filter((image) => image !== undefined && !/:(v?\d|\$\{\w+:-v?\d)/.test(image))
    .map((image) => `${image} has no tag with a version`);

  const waits = Object.entries(base).flatMap(([name, { depends_on: needed = {} }]) =>
    Object.entries(needed).flatMap(([other, { condition }]) => {
      if (base[other] === undefined) return [`${name} waits for ${other}, which is no service`];
      const never = condition === 'service_healthy' && base[other].healthcheck === undefined;
      return never ? [`${name} waits until ${other} is healthy, which has no healthcheck`] : [];
    }),
  );

  const targets = ['agents.yaml', 'agents.dev.yaml'].flatMap((file) =>
    read(`prometheus/targets/${file}`).flatMap((group) =>
      group.targets
        .filter((target) => base[target.split(':')[0]] === undefined)
        .map((target) => `${target} is no service`),
    ),
  );

  const published = Object.values(base).flatMap(({ ports = [] }) => ports);
  const open = published
    .filter((port) => !port.startsWith('127.0.0.1:'))
    .map((port) => `${port} is open to the network`);
  const hostPorts = published.map((port) => port.split(':').slice(1, -1).join(':'));
  const twice = hostPorts
    .filter((port, index) => hostPorts.indexOf(port) !== index)
    .map((port) => `${port} is published twice`);

  const variables = new Set(
    [...readFileSync(join(folder, 'compose.yaml'), 'utf8').matchAll(/\$\{(\w+)[:?-]/g)].map(([, name]) => name),
  );
  const untold = [...variables]
    .filter((name) => !example.includes(`${name}=`))
    .map((name) => `.env.example does not have ${name}`);

  return [...missing, ...unknown, ...unpinned, ...waits, ...targets, ...open, ...twice, ...untold];
}
