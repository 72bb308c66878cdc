/**
 * `make image-check`, second half: looks into the images, and runs them as a cluster would, against a real Kafka on this
 * machine. The first half, check.sh, has built them and found what runs them.
 *
 *     node check.mjs '<command that runs containers>' '<its options>' REGISTRY-OR-EMPTY TAG
 *
 * What has to come out of a container is what the agents of this very clone decide, record by record.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { composeProblems } from './compose.mjs';
import { AgentDriver, produceAll, readAll, startLocalKafka } from '../../libs/agent-testkit/dist/index.js';

const run = promisify(execFile);
const [command = 'docker', options = '', registry = '', tag = ''] = process.argv.slice(2);
const engine = (...args) => run(command, args, { maxBuffer: 64 << 20 });

const AGENTS = ['historic', 'lastdata', 'mutable', 'errors'];
const MAX_MEGABYTES = 250;
/** Twice what an agent takes at full load (README, Measured). */
const MEMORY = '384m';
/** Kubernetes' restricted profile, and a memory limit. */
const HARDENED = ['--read-only', '--cap-drop', 'all', '--security-opt', 'no-new-privileges', '--memory', MEMORY];
/** Kubernetes would wait for 30 s; the agents promise 5. */
const STOP_SECONDS = 5;
const READY_MS = 60_000;
const run_id = randomUUID().slice(0, 8);

const imageOf = (agent) => `${registry === '' ? '' : `${registry}/`}kafnus-ngsi-${agent}:${tag}`;
const nameOf = (agent) => `kafnus-check-${run_id}-${agent}`;
const words = (text) => text.split(' ').filter((word) => word !== '');
const lines = (text) => text.split('\n').filter((line) => line !== '');

let passed = 0;
let failed = 0;

/** Runs one check; it fails by throwing. */
async function check(title, test) {
  try {
    const detail = await test();
    passed += 1;
    console.log(`ok      ${title}${typeof detail === 'string' ? ` (${detail})` : ''}`);
  } catch (error) {
    failed += 1;
    console.log(`failed  ${title}: ${error.stderr || error.message}`.trimEnd());
  }
}

function expect(holds, otherwise) {
  if (!holds) throw new Error(otherwise);
}

function expectEqual(got, wanted, what) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)];
  expect(a === b, `${what} is ${a}, and should be ${b}`);
}

/** A program of the image, in a container for it alone. */
async function inImage(agent, user, program, ...args) {
  const flags = ['--rm', ...words(options), '--user', user, '--entrypoint', program];
  return (await engine('run', ...flags, imageOf(agent), ...args)).stdout;
}

// --- Images --------------------------------------------------------------------------------------------------------------

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
    // A cache must not bring back the labels of an older build.
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
  await check(`${agent}: every package of npm is one of pnpm-lock.yaml, and the SBOM tells of it`, async () => {
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

// --- Containers ------------------------------------------------------------------------------------------------------------

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function ask(port, path) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(5000) });
  return { status: response.status, text: await response.text() };
}

async function until(what, timeoutMs, holds) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const reason = await holds().catch((error) => error.message);
    if (reason === true) return;
    if (Date.now() > deadline) throw new Error(`${what} did not come true in ${timeoutMs / 1000} s: ${reason}`);
    await sleep(200);
  }
}

function settings(brokers, port) {
  const env = { KAFNUS_KAFKA_BROKERS: brokers, KAFNUS_HTTP_PORT: port, KAFNUS_TOPIC_PARTITIONS: 2 };
  return Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
}

/** As the chart's Job and the Compose file do it, before the agent starts. */
async function checkTopics(agent, brokers) {
  await check(`${agent}: its sub-command makes its topics, and finds nothing wrong with them`, async () => {
    const flags = ['--rm', ...words(options), ...HARDENED, ...settings(brokers, 0)];
    await engine('run', ...flags, imageOf(agent), 'topics', 'apply');
    await engine('run', ...flags, imageOf(agent), 'topics', 'check');
  });
}

async function startAgent(agent, brokers) {
  const port = await freePort();
  const flags = ['--detach', '--name', nameOf(agent), ...words(options), ...HARDENED, ...settings(brokers, port)];
  await engine('run', ...flags, '-e', `KAFNUS_INSTANCE_ID=check-${agent}`, imageOf(agent));
  return port;
}

async function logsOf(agent) {
  const { stdout, stderr } = await engine('logs', '--tail', '15', nameOf(agent));
  return stdout + stderr;
}

/** Notifications of a city, some of which are no good. */
async function send(brokers) {
  const raw = AGENTS.slice(0, 3).map((agent) => `raw_${agent}`);
  const topics = raw.flatMap((topic) => ['--topic', topic]);
  await run('node', ['tools/cli/dist/main.js', 'send', '--brokers', brokers, ...topics, '--count', '400']);
  const headers = [{ 'fiware-service': Buffer.from('harbour') }];
  await produceAll(
    brokers,
    raw.map((topic) => ({ topic, key: Buffer.from('broken'), value: Buffer.from('{"data": ['), headers })),
  );
}

/** What this clone's agent makes of what is in its input topic, partition by partition. */
async function decided(agent, brokers) {
  const module = await import(`../../services/${agent}/dist/agent.js`);
  const driver = new AgentDriver(module.agent);
  const inputs = await readAll(brokers, driver.configured.inputTopic);
  for (const { headers, ...input } of inputs) driver.pipe({ ...input, headers });
  return { inputs: inputs.length, driver };
}

const text = (bytes) => (bytes === null ? null : Buffer.from(bytes).toString('base64'));
const asLine = ({ key, value, timestamp, headers }) =>
  JSON.stringify([
    text(key),
    text(value),
    timestamp,
    headers.map((header) => Object.entries(header).map(([name, bytes]) => [name, text(bytes)])),
  ]);

/** Each record once, and byte by byte, in a reader that sees committed records only. */
async function checkOutputs(agent, brokers, port) {
  const { inputs, driver } = await decided(agent, brokers);
  expect(inputs > 0, `nothing was in ${driver.configured.inputTopic}`);
  await until('the end of its input', 30_000, async () => {
    const { ledger, lag } = JSON.parse((await ask(port, '/health')).text);
    return (ledger.read === inputs && lag === 0) || `it has read ${ledger.read} of ${inputs}`;
  });
  let outputs = 0;
  for (const [topic, wanted] of driver.outputs) {
    const seen = await readAll(brokers, topic);
    const missing = new Map();
    for (const line of wanted.map(asLine)) missing.set(line, (missing.get(line) ?? 0) + 1);
    for (const record of seen) {
      const line = asLine(record);
      expect(missing.get(line) > 0, `${topic}: a record that should not be there, or not so: ${line.slice(0, 300)}`);
      missing.set(line, missing.get(line) - 1);
    }
    expectEqual(seen.length, wanted.length, `the number of records in ${topic}`);
    outputs += seen.length;
  }
  expect(outputs > 0, 'nothing came out');
  return `${inputs} records in, ${outputs} out, ${driver.deadLetters.length} refused`;
}

async function checkContainer(agent, brokers, port) {
  await check(
    `${agent}: it is ready, on a read-only root, without capabilities, with ${MEMORY} of memory`,
    async () => {
      await until('ready', READY_MS, async () => {
        const { status, text: body } = await ask(port, '/ready');
        return status === 200 || body;
      }).catch(async (error) => expect(false, `${error.message}\n${await logsOf(agent)}`));
      const status = (await engine('exec', nameOf(agent), 'node', '-p', "fs.readFileSync('/proc/self/status', 'utf8')"))
        .stdout;
      const value = (name) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1].split(/\s+/);
      expectEqual(value('Uid'), ['1000', '1000', '1000', '1000'], 'the user');
      expectEqual(
        [value('CapEff'), value('CapBnd'), value('NoNewPrivs')],
        [['0000000000000000'], ['0000000000000000'], ['1']],
        'what it may do',
      );
      const write = "try { fs.writeFileSync('/app/x', ''); } catch (error) { process.stdout.write(error.code) }";
      expectEqual((await engine('exec', nameOf(agent), 'node', '-e', write)).stdout, 'EROFS', 'the answer to a write');
    },
  );
  await check(`${agent}: what comes out is what this clone's agent decides, each record once`, () =>
    checkOutputs(agent, brokers, port),
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
  await check(`${agent}: SIGTERM ends it within ${STOP_SECONDS} s, in order`, async () => {
    const began = Date.now();
    await engine('stop', '-t', String(STOP_SECONDS), nameOf(agent));
    const seconds = (Date.now() - began) / 1000;
    const [{ State: state }] = JSON.parse((await engine('inspect', nameOf(agent))).stdout);
    expectEqual(state.ExitCode, 0, `the exit code, after ${seconds.toFixed(1)} s`);
    expect(seconds < STOP_SECONDS, `it took ${seconds.toFixed(1)} s`);
    await ask(port, '/live').then(
      () => expect(false, 'it still answers'),
      () => undefined,
    );
    return `${seconds.toFixed(1)} s`;
  });
}

// -----------------------------------------------------------------------------------------------------------------------------

const SUITE = JSON.parse(readFileSync('package.json', 'utf8'));
const REVISION = await run('git', ['rev-parse', 'HEAD']).then(
  ({ stdout }) => stdout.trim(),
  () => 'unknown',
);
const LOCKFILE = readFileSync('pnpm-lock.yaml', 'utf8');
const ports = new Map();
let kafka;

async function main() {
  await checkDockerfiles();
  await check('deploy/compose: what it points to is there, and what it sets is a setting', () =>
    expectEqual(composeProblems(AGENTS), [], 'what was found'),
  );
  for (const agent of AGENTS) await checkImage(agent);

  kafka = await startLocalKafka();
  const brokers = kafka.bootstrapServers;
  for (const agent of AGENTS) await checkTopics(agent, brokers);
  for (const agent of AGENTS) ports.set(agent, await startAgent(agent, brokers));
  await send(brokers);
  for (const [agent, port] of ports) await checkContainer(agent, brokers, port);
  for (const [agent, port] of ports) await checkStop(agent, port);
}

async function cleanUp() {
  for (const agent of ports.keys()) await engine('rm', '--force', nameOf(agent)).catch(() => undefined);
  await kafka?.stop();
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => void cleanUp().finally(() => process.exit(130)));
}
try {
  await main();
} catch (error) {
  failed += 1;
  console.log(`failed  ${error.stack ?? error}`);
} finally {
  await cleanUp();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
