/**
 * Writes the generated files: the reference pages of docs/, deploy/dashboards, and the chart's
 * copies of dashboards and alerts (a chart cannot contain files from outside its folder). With
 * --check it writes nothing, and fails when a file is out of date. `make docs` builds first.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { settingsOf, settingsReference } from '../../libs/agent-runtime/dist/config.js';
import { findingCodes } from '../../libs/kafka-admin/dist/topics/topic-finding.js';
import { agentNames, attributeCodes, rejectCodes, skipReasons } from '../../libs/ngsi-core/dist/index.js';
import { commands } from '../../tools/cli/dist/commands.js';
import { programHelp } from '../../tools/cli/dist/program.js';
import { dashboards } from './dashboards.mjs';
import { metricsPage } from './metrics-page.mjs';
import { pages } from './pages.mjs';

const root = new URL('../../', import.meta.url);
const check = process.argv.includes('--check');

const chart = 'helm/kafnus-agent/files';
const rules = 'deploy/alerts/kafnus.rules.yaml';

const files = {
  'docs/metrics.md': await metricsPage(),
  ...pages({
    agents: Object.fromEntries(await Promise.all(agentNames.map(async (name) => [name, await settingsRows(name)]))),
    codes: { rejectCodes, attributeCodes, skipReasons, findingCodes },
    programHelp: programHelp(),
    commands: await Promise.all(commands.map(async ({ name, load }) => ({ name, help: (await load()).command.help }))),
  }),
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

// An explicit exit: with the Kafka client loaded, Node's exit sometimes hangs.
process.exit(process.exitCode);

async function settingsRows(name) {
  const { agent } = await import(`../../services/${name}/dist/agent.js`);
  return settingsReference(settingsOf(agent));
}

function found(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
