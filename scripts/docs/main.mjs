/**
 * Writes the files that are made from others: docs/metrics.md, deploy/dashboards, and the chart's copies of dashboards and
 * alerts (a chart holds no file from outside its folder). With --check it writes nothing, and fails when one of them is not as
 * it would be written. `make docs` builds before.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { dashboards } from './dashboards.mjs';
import { metricsPage } from './metrics-page.mjs';

const root = new URL('../../', import.meta.url);
const check = process.argv.includes('--check');

const chart = 'helm/kafnus-agent/files';
const rules = 'deploy/alerts/kafnus.rules.yaml';

const files = {
  'docs/metrics.md': await metricsPage(),
  [`${chart}/kafnus.rules.yaml`]: readFileSync(new URL(rules, root), 'utf8'),
};
for (const [name, dashboard] of Object.entries(dashboards)) {
  const json = JSON.stringify(dashboard);
  files[`deploy/dashboards/${name}`] = json;
  files[`${chart}/dashboards/${name}`] = json;
}

for (const [file, text] of Object.entries(files)) {
  const path = fileURLToPath(new URL(file, root));
  const wanted = await format(text, { ...(await resolveConfig(path)), filepath: path });
  if (wanted === found(path)) continue;
  if (check) {
    process.exitCode = 1;
    console.error(`${file} is stale: run 'make docs'`);
  } else {
    writeFileSync(path, wanted);
    console.log(`${file} written`);
  }
}

function found(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
