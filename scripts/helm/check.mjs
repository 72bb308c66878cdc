/**
 * Runs `make helm-check` once the tools are installed. All started processes are stopped at the
 * end, and the user's kubectl configuration is not used.
 */
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { checkAgents } from './check-agents.mjs';
import { ClusterChecks } from './check-cluster.mjs';
import { checkOffline } from './check-offline.mjs';
import { Session } from './session.mjs';
import { counts, repository } from './support.mjs';

process.chdir(repository);
const { values: options } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
const session = new Session();

async function stop() {
  await session.stop();
  rmSync(session.work, { recursive: true, force: true });
}

for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
  process.once(signal, () => void stop().finally(() => process.exit(code)));
}

try {
  // It starts during the other checks.
  const starting = session.cluster.start();
  starting.catch(() => {});
  await session.render();
  await checkOffline(session, options.write);
  await starting;
  await checkAgents(session);
  await new ClusterChecks(session).all();
} catch (error) {
  counts.failed += 1;
  console.log(`  FAIL  ${error.message}`);
} finally {
  await stop();
}
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;
