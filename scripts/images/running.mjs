/**
 * Checks of a running agent container: it becomes ready, has no further privileges, writes what
 * this clone's agents decide, and stops cleanly.
 */
import { ask, engine, expect, expectEqual, run, until, AGENTS } from './support.mjs';
import { AgentDriver } from '../../libs/agent-testkit/dist/index.js';
import { awaitStable, produceAll, readAll } from '../../libs/local-stack/dist/index.js';

/** Kubernetes would wait for 30 s; the agents promise 5. */
export const STOP_SECONDS = 5;
const READY_MS = 60_000;

export async function logsOf(container) {
  const { stdout, stderr } = await engine('logs', '--tail', '15', container);
  return stdout + stderr;
}

/** Waits until a path answers with 200; the path is what Kubernetes would probe. */
export async function awaitReady(container, port, path = '/ready') {
  await until('ready', READY_MS, async () => {
    const { status, text: body } = await ask(port, path);
    return status === 200 || body;
  }).catch(async (error) => expect(false, `${error.message}\n${await logsOf(container)}`));
}

/** What a program in a container prints that Node.js runs for it, beside the agent. */
export async function inContainer(container, ...program) {
  return (await engine('exec', container, 'node', ...program)).stdout;
}

/** Kubernetes' restricted profile, as the kernel sees it. */
export async function expectConfined(container) {
  const status = await inContainer(container, '-p', "fs.readFileSync('/proc/self/status', 'utf8')");
  const value = (name) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1].split(/\s+/);
  expectEqual(value('Uid'), ['1000', '1000', '1000', '1000'], 'the user');
  expectEqual(value('Gid'), ['1000', '1000', '1000', '1000'], 'the group');
  expectEqual(
    [value('CapEff'), value('CapBnd'), value('NoNewPrivs')],
    [['0000000000000000'], ['0000000000000000'], ['1']],
    'what it may do',
  );
  const write = "try { fs.writeFileSync('/app/x', ''); } catch (error) { process.stdout.write(error.code) }";
  expectEqual(await inContainer(container, '-e', write), 'EROFS', 'the answer to a write');
}

/** Notifications of a city, some of which are no good. */
export async function send(brokers) {
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
export async function expectOutputs(agent, brokers, port) {
  const { inputs, driver } = await decided(agent, brokers);
  expect(inputs > 0, `nothing was in ${driver.configured.inputTopic}`);
  await until('the end of its input', 30_000, async () => {
    const { ledger, lag } = JSON.parse((await ask(port, '/health')).text);
    return (ledger.read === inputs && lag === 0) || `it has read ${ledger.read} of ${inputs}`;
  });
  let outputs = 0;
  for (const [topic, wanted] of driver.outputs) {
    await awaitStable(brokers, topic, 10_000);
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

/** Ends a container as Kubernetes does, by SIGTERM. @returns how long it took */
export async function expectStop(container, port) {
  const began = Date.now();
  await engine('stop', '-t', String(STOP_SECONDS), container);
  const seconds = (Date.now() - began) / 1000;
  const [{ State: state }] = JSON.parse((await engine('inspect', container)).stdout);
  expectEqual(state.ExitCode, 0, `the exit code, after ${seconds.toFixed(1)} s`);
  expect(seconds < STOP_SECONDS, `it took ${seconds.toFixed(1)} s`);
  await ask(port, '/live').then(
    () => expect(false, 'it still answers'),
    () => undefined,
  );
  return `${seconds.toFixed(1)} s`;
}
