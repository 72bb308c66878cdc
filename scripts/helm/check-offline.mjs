/**
 * Checks of the chart without a cluster: documentation, lint, unit tests, schemas of several
 * Kubernetes versions.
 */
import { cpSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';

import { coreSchemas, customSchemas } from './schemas.mjs';
import { objectsIn } from './session.mjs';
import { chart, check, expect, tool } from './support.mjs';

/**
 * The oldest and the newest Kubernetes that there are schemas of, and that of the control plane.
 */
const versions = ['1.27.0', '1.35.0', '1.37.0'];

const crds = join(import.meta.dirname, 'crds');

/**
 * Helm takes no files from outside of a chart, and speaks of each symbolic link whenever it is
 * called.
 */
function copies() {
  const dashboards = readdirSync('deploy/dashboards').filter((file) => file.endsWith('.json'));
  return [
    ['deploy/alerts/kafnus.rules.yaml', `${chart}/files/kafnus.rules.yaml`],
    ...dashboards.map((file) => [`deploy/dashboards/${file}`, `${chart}/files/dashboards/${file}`]),
  ];
}

async function readme(session) {
  const text = await session.run(
    tool('helm-docs'),
    `--chart-search-root ${chart} --dry-run --sort-values-order file --log-level error`,
  );
  expect(text.includes('kafka.brokers'), `helm-docs wrote no documentation:\n${text}`);
  const draft = join(session.work, 'README.md');
  writeFileSync(draft, text);
  return session.run('node_modules/.bin/prettier', `--config .prettierrc.json ${draft}`);
}

/**
 * @param {import('./session.mjs').Session} session @param {boolean} write updates generated and
 * copied files
 */
export async function checkOffline(session, write) {
  const stale = 'it is stale: make helm-check ARGS=--write';
  await check('README.md is what values.yaml says', async () => {
    const wanted = await readme(session);
    if (write) writeFileSync(`${chart}/README.md`, wanted);
    expect(existsSync(`${chart}/README.md`) && readFileSync(`${chart}/README.md`, 'utf8') === wanted, stale);
  });
  await check('files/ is what deploy/ has', () => {
    for (const [from, to] of copies()) {
      if (write) cpSync(from, to);
      expect(existsSync(to) && readFileSync(to).equals(readFileSync(from)), `${to}: ${stale}`);
    }
    const known = readdirSync(`${chart}/files`, { recursive: true }).filter((file) => extname(file) !== '');
    expect(known.length === copies().length, `files/ has ${known.join(', ')}: remove what deploy/ has not`);
    return known.length;
  });
  await check('the chart is of the version of the agents', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    const [{ appVersion }] = objectsIn(readFileSync(`${chart}/Chart.yaml`, 'utf8'));
    expect(appVersion === version, `appVersion in Chart.yaml is ${appVersion}, and package.json says ${version}`);
  });
  await check('helm lint --strict', async () => {
    await session.helm(`lint --strict ${chart}`);
    for (const { values } of session.renderings.values()) await session.helm(`lint --strict ${chart} -f ${values}`);
    return session.renderings.size + 1;
  });
  await check('helm-unittest', async () => {
    const output = await session.run(tool('helm-unittest'), `--strict ${chart}`);
    const count = Number(/^Tests:\s+(\d+) passed/m.exec(output)?.[1]);
    expect(count > 0, `it ran no tests:\n${output}`);
    return count;
  });
  await check(`kubeconform, Kubernetes ${versions.join(', ')}`, async () => {
    const target = join(session.work, 'schemas');
    coreSchemas(tool('schemas'), target, versions);
    const texts = readdirSync(crds).map((file) => readFileSync(join(crds, file), 'utf8'));
    customSchemas(texts.flatMap(objectsIn), target);
    const files = [...session.renderings.values()].map(({ file }) => file).join(' ');
    for (const version of versions) {
      const core = `${target}/{{.NormalizedKubernetesVersion}}-local{{.StrictSuffix}}/{{.ResourceKind}}{{.KindSuffix}}.json`;
      const custom = `${target}/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json`;
      await session.run(
        tool('kubeconform'),
        `-strict -kubernetes-version ${version} -schema-location ${core} -schema-location ${custom} ${files}`,
      );
    }
    return versions.length;
  });
}
