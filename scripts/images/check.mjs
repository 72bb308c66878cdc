/**
 * The second half of `make image-check`: inspects the images and runs them hardened against a real
 * Kafka on this machine, with its own settings and then as the chart renders them (rendered.mjs).
 * The first half, check.sh, has built the images and found a container engine.
 *
 *     node check.mjs '<command that runs containers>' '<its options>' REGISTRY-OR-EMPTY TAG
 *
 * The outputs of a container must equal the decisions of this clone's agents, record by record.
 */
import { readFileSync } from 'node:fs';
import { composeProblems } from './compose.mjs';
import { checkRendered } from './rendered.mjs';
import { STOP_SECONDS, awaitReady, expectConfined, expectOutputs, expectStop, send } from './running.mjs';
import { AGENTS, ask, check, cleanUp, endings, engine, expect, expectEqual, freePort, options } from './support.mjs';
import { registry, run, runId, tag, tally, words } from './support.mjs';
import { startLocalKafka } from '../../libs/local-stack/dist/index.js';

const MAX_MEGABYTES = 250;
/** Twice what an agent takes at full load (bench/README.md). */
const MEMORY = '384m';
/** Kubernetes' restricted profile, and a memory limit. */
const HARDENED = ['--read-only', '--cap-drop', 'all', '--security-opt', 'no-new-privileges', '--memory', MEMORY];

const imageOf = (agent) => `${registry === '' ? '' : `${registry}/`}kafnus-ngsi-${agent}:${tag}`;
const nameOf = (agent) => `kafnus-check-${runId}-${agent}`;
const lines = (text) => text.split('\n').filter((line) => line !== '');

/** A program of the image, in a container for it alone. */
async function inImage(agent, user, program, ...args) {
  const flags = ['--rm', ...options, '--user', user, '--entrypoint', program];
  return (await engine('run', ...flags, imageOf(agent), ...args)).stdout;
}

// --- Images --------------------------------------------------------------------------------------

async function checkImage(agent) {
  const [{ Config: config, Size: size }] = JSON.parse((await engine('image', 'inspect', imageOf(agent))).stdout);

  await check(`${agent}: it is smaller than ${MAX_MEGABYTES} MB`, () => {
    const megabytes = Math.round(size / 1e6);
    expect(megabytes < MAX_MEGABYTES, `it has ${megabytes} MB`);
    return `${megabytes} MB`;
  });
  await check(`${agent}: it starts the agent, as user 1000, and says what it is`, () => {
    expectEqual(config.User, '1000:1000', 'the user');
    expectEqual(config.Entrypoint.slice(-2), ['node', '/app/dist/main.js'], 'the end of the entry point');
    expect(config.Env.includes('NODE_ENV=production'), 'NODE_ENV is not production');
    expect(config.Env.includes('UV_THREADPOOL_SIZE=16'), 'UV_THREADPOOL_SIZE is not 16');
    expectEqual(config.ExposedPorts, { '8080/tcp': {} }, 'what it exposes');
    const label = (name) => config.Labels[`org.opencontainers.image.${name}`];
    expectEqual(
      [label('title'), label('version'), label('licenses')],
      [`kafnus-ngsi-${agent}`, tag, 'Apache-2.0'],
      'the labels',
    );
    // The labels must not come from a cached older build.
    expectEqual(label('revision').replace(/-modified$/, ''), REVISION, 'the revision');
  });
  await check(
    `${agent}: nothing is setuid or setgid, and only /tmp and the like are writable for everybody`,
    async () => {
      const special = words('( -type f -perm /6000 ) -o ( ! -type l -perm -0002 ! -perm -1000 )');
      expectEqual(lines(await inImage(agent, '0', 'find', '/', '-xdev', ...special)), [], 'what was found');
      expectEqual(
        lines(await inImage(agent, '1000:1000', 'find', '/app', '-writable')),
        [],
        'what the agent may write to',
      );
    },
  );
  await check(`${agent}: no compiler, no package manager, no sources, no tests, nothing for development`, async () => {
    const files = lines(await inImage(agent, '0', 'find', '/app', '/usr', '/opt', '-xdev', '-type', 'f'));
    expect(files.length > 500, `only ${files.length} files were found`);
    const bad =
      /\.(ts|map|c|cc|cpp|h|gyp|tsbuildinfo)$|\/(npm|npx|yarn|corepack|pnpm|gcc|g\+\+|make|python3?)$|\/app\/.*\/tests?\//;
    expectEqual(
      files.filter((file) => bad.test(file) && !file.startsWith('/usr/share/')),
      [],
      'what was found',
    );
  });
  await check(`${agent}: every package of npm is one of pnpm-lock.yaml, and is in the SBOM`, async () => {
    const sbom = JSON.parse(await inImage(agent, '1000:1000', 'cat', '/app/sbom.cdx.json'));
    expectEqual(
      [sbom.bomFormat, sbom.specVersion, sbom.metadata.component.version],
      ['CycloneDX', '1.6', SUITE.version],
      'the SBOM',
    );
    const listed = sbom.components.map(({ purl }) => purl);
    const manifests = lines(await inImage(agent, '1000:1000', 'find', '/app/node_modules', '-name', 'package.json'));
    const folders = manifests.filter((path) => /node_modules\/(@[^/]+\/)?[^/]+\/package.json$/.test(path));
    const read =
      "process.argv.slice(1).map((f) => { const { name, version } = require(f); return name + '@' + version })";
    const packages = JSON.parse(await inImage(agent, '1000:1000', 'node', '-p', `JSON.stringify(${read})`, ...folders));
    expect(packages.length > 20, `only ${packages.length} packages were found`);
    const ours = (name) => name.startsWith('@kafnus/');
    const locked = (name) => LOCKFILE.includes(`\n  ${name}:`) || LOCKFILE.includes(`\n  '${name}':`);
    expectEqual(
      packages.filter((name) => !ours(name) && !locked(name)),
      [],
      'what pnpm-lock.yaml does not have',
    );
    expectEqual(
      packages.filter((name) => !listed.includes(`pkg:npm/${name.replace(/^@/, '%40')}`)),
      [],
      'what the SBOM does not have',
    );
    const forDevelopment = new Set([
      ...Object.keys(SUITE.devDependencies),
      '@kafnus/agent-testkit',
      '@kafnus/local-stack',
      '@kafnus/cli',
      'node-gyp',
      'tar',
    ]);
    expectEqual(
      packages.filter((name) => forDevelopment.has(name.replace(/@[^@]*$/, ''))),
      [],
      'what is for development',
    );
    expect(
      listed.some((purl) => purl.startsWith('pkg:deb/debian/libc6@')),
      'the SBOM has no packages of Debian',
    );
    expect(
      listed.some((purl) => purl.includes('/librdkafka@')),
      'the SBOM does not have librdkafka',
    );
    return `${packages.length} of npm, ${listed.length} in all`;
  });
  await check(
    `${agent}: a process that ends itself by SIGKILL, as an agent does whose Kafka client hangs, is gone`,
    async () => {
      const [init, ...rest] = config.Entrypoint.slice(0, -2);
      const program = "process.kill(process.pid, 'SIGKILL'); setTimeout(() => process.exit(0), 5000)";
      const code = await inImage(agent, '1000:1000', init, ...rest, 'node', '-e', program).then(
        () => 0,
        (error) => error.code,
      );
      expectEqual(code, 137, 'the exit code');
    },
  );
}

/** The image of the command line: what an operator starts beside the agents. */
async function checkCommandLine(brokers) {
  const inHardened = async (...args) =>
    (await engine('run', '--rm', ...options, ...HARDENED, imageOf('cli'), ...args)).stdout;
  await check('cli: it is kafnus, as user 1000, and prints its commands', async () => {
    const [{ Config: config }] = JSON.parse((await engine('image', 'inspect', imageOf('cli'))).stdout);
    expectEqual([config.User, config.ExposedPorts], ['1000:1000', undefined], 'user and ports');
    expectEqual((await inHardened('--version')).trim(), `kafnus ${SUITE.version}`, 'its version');
    expect((await inHardened()).includes('Usage: kafnus <command>'), 'it prints no help');
  });
  await check('cli: topics check, lag and acls work from the image', async () => {
    await inHardened('topics', 'check', '--brokers', brokers);
    expect((await inHardened('lag', '--brokers', brokers)).includes('ngsi-agent-historic'), 'lag shows no historic');
    expect((await inHardened('acls', '--principal', 'User:kafnus')).includes('User:kafnus'), 'acls prints no rights');
  });
}

function checkDockerfiles() {
  return check('the four Dockerfiles differ in nothing but the agent', () => {
    const texts = AGENTS.map((agent) => {
      const text = readFileSync(`services/${agent}/Dockerfile`, 'utf8');
      expect(text.includes(`\nARG AGENT=${agent}\n`), `services/${agent}/Dockerfile has no line ARG AGENT=${agent}`);
      return text.replace(`\nARG AGENT=${agent}\n`, '\nARG AGENT=\n');
    });
    expectEqual([...new Set(texts)].length, 1, 'the number of texts');
  });
}

// --- Containers ----------------------------------------------------------------------------------

function settings(brokers, port) {
  const env = { KAFNUS_KAFKA_BROKERS: brokers, KAFNUS_HTTP_PORT: port, KAFNUS_TOPIC_PARTITIONS: 2 };
  return Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
}

/** As the chart's Job and the Compose file do it, before the agent starts. */
async function checkTopics(agent, brokers) {
  await check(`${agent}: its sub-command makes its topics, and finds nothing wrong with them`, async () => {
    const flags = ['--rm', ...options, ...HARDENED, ...settings(brokers, 0)];
    await engine('run', ...flags, imageOf(agent), 'topics', 'apply');
    await engine('run', ...flags, imageOf(agent), 'topics', 'check');
  });
}

async function startAgent(agent, brokers) {
  const port = await freePort();
  const flags = ['--detach', '--name', nameOf(agent), ...options, ...HARDENED, ...settings(brokers, port)];
  endings.push(() => engine('rm', '--force', nameOf(agent)));
  await engine('run', ...flags, '-e', `KAFNUS_INSTANCE_ID=check-${agent}`, imageOf(agent));
  return port;
}

async function checkContainer(agent, brokers, port) {
  await check(
    `${agent}: it is ready, on a read-only root, without capabilities, with ${MEMORY} of memory`,
    async () => {
      await awaitReady(nameOf(agent), port);
      await expectConfined(nameOf(agent));
    },
  );
  await check(`${agent}: what comes out is what this clone's agent decides, each record once`, () =>
    expectOutputs(agent, brokers, port),
  );
  await check(`${agent}: /live, /ready, /health and /metrics answer, and the HEALTHCHECK passes`, async () => {
    const answers = Object.fromEntries(
      await Promise.all(['/live', '/ready', '/health', '/metrics'].map(async (path) => [path, await ask(port, path)])),
    );
    expectEqual(
      Object.values(answers).map(({ status }) => status),
      [200, 200, 200, 200],
      'the status',
    );
    const health = JSON.parse(answers['/health'].text);
    expectEqual([health.agent, health.version, health.state], [agent, SUITE.version, 'running'], '/health');
    expect(/^kafnus_[a-z_]+(\{.*\})? [0-9]/m.test(answers['/metrics'].text), '/metrics has no kafnus_ metric');
    const [{ Config: config }] = JSON.parse((await engine('inspect', nameOf(agent))).stdout);
    await engine('exec', nameOf(agent), ...config.Healthcheck.Test.slice(1));
  });
}

async function checkStop(agent, port) {
  await check(`${agent}: SIGTERM ends it within ${STOP_SECONDS} s, in order`, () => expectStop(nameOf(agent), port));
}

// -------------------------------------------------------------------------------------------------

const SUITE = JSON.parse(readFileSync('package.json', 'utf8'));
const REVISION = await run('git', ['rev-parse', 'HEAD']).then(
  ({ stdout }) => stdout.trim(),
  () => 'unknown',
);
const LOCKFILE = readFileSync('pnpm-lock.yaml', 'utf8');

async function main() {
  await checkDockerfiles();
  await check('deploy/compose: what it points to is there, and what it sets is a setting', () =>
    expectEqual(composeProblems(AGENTS), [], 'what was found'),
  );
  for (const agent of AGENTS) await checkImage(agent);
  await checkContainers();
  await cleanUp();
  await checkRendered();
}

async function checkContainers() {
  const kafka = await startLocalKafka();
  endings.push(() => kafka.stop());
  const brokers = kafka.bootstrapServers;
  const ports = new Map();
  for (const agent of AGENTS) await checkTopics(agent, brokers);
  for (const agent of AGENTS) ports.set(agent, await startAgent(agent, brokers));
  await send(brokers);
  await checkCommandLine(brokers);
  for (const [agent, port] of ports) await checkContainer(agent, brokers, port);
  for (const [agent, port] of ports) await checkStop(agent, port);
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => void cleanUp().finally(() => process.exit(130)));
}
try {
  await main();
} catch (error) {
  tally.failed += 1;
  console.log(`failed  ${error.stack ?? error}`);
} finally {
  await cleanUp();
}
console.log(`${tally.passed} passed, ${tally.failed} failed`);
process.exit(tally.failed > 0 || tally.passed === 0 ? 1 : 0);
