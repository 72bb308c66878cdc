/**
 * Runs the rendered objects of each agent from its image, with the values file of the agent: the
 * pod of the StatefulSet and that of the topics Job, with their ConfigMap, on a real Kafka. podman
 * accepts such objects (`podman kube play`), with these differences to Kubernetes:
 *
 * - It makes no pods of a StatefulSet or a Job: they are made here, named as the controllers would.
 *   A Job has one try.
 * - Probes are left out: podman would make health checks of them that need systemd and a curl in
 *   the image. Their paths are asked from here, at the port that they name; how often and how long
 *   is not tried.
 * - The pods share the network of the machine, where Kafka is, each agent with a port of its own.
 *   podman refuses ports there.
 * - It refuses annotations longer than 63 characters, and so gets none.
 * - Of the resources only the memory counts; grace period, fsGroup and spreading are ignored, and
 *   seccomp is podman's default.
 * - It mounts no projected volumes, as the chart mounts Secrets. The delivered values have none.
 *
 * Whether Kubernetes itself takes all of this is for `make helm-check`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { STOP_SECONDS, awaitReady, expectConfined, expectOutputs, expectStop, logsOf, send } from './running.mjs';
import { AGENTS, ask, check, command, endings, engine, expectEqual, freePort, options } from './support.mjs';
import { registry, run, runId, tag } from './support.mjs';
import { startLocalKafka } from '../../libs/local-stack/dist/index.js';

const { parseAllDocuments, stringify } = createRequire(resolve('libs/agent-runtime/package.json'))('yaml');
const HELM = '.cache/tools/helm';
const JOB_MS = 60_000;

/**
 * The objects of a release, by kind; values of the agent's own file but for what differs on this
 * machine.
 */
async function render(agent, brokers) {
  const port = await freePort();
  const texts = `kafka.brokers=${brokers},image.registry=${registry},image.tag=${tag},image.pullPolicy=Never`;
  const values = ['-f', `services/${agent}/helm-values.yaml`, '--set', `http.port=${port}`, '--set-string', texts];
  const { stdout } = await run(HELM, ['template', `check-${runId}-${agent}`, 'helm/kafnus-agent', ...values]);
  const objects = parseAllDocuments(stdout).map((document) => document.toJS());
  return Object.fromEntries(objects.filter((object) => object !== null).map((object) => [object.kind, object]));
}

/**
 * The pod that a controller creates from a template, without fields that podman handles
 * differently.
 */
function podOf(name, { metadata, spec }) {
  const containers = spec.containers.map(({ ports, livenessProbe, readinessProbe, ...rest }) => rest);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: metadata.labels },
    spec: { ...spec, hostNetwork: true, containers },
  };
}

/**
 * podman 4.3 knows limits of kube play from its configuration alone; one that the machine's owner
 * has named stays.
 */
function environment(folder) {
  const limits = options.flatMap((option, index) => (options[index - 1] === '--ulimit' ? [option] : []));
  const file = join(folder, 'containers.conf');
  writeFileSync(file, `[containers]\ndefault_ulimits = ${JSON.stringify(limits)}\n`);
  return { CONTAINERS_CONF: file, ...process.env };
}

/** One agent as it is delivered: what is played, and what is expected of it. */
class Release {
  constructor(agent, objects) {
    const { ConfigMap: configMap, StatefulSet: workload, Job: job } = objects;
    const [container] = workload.spec.template.spec.containers;
    this.agent = agent;
    this.settings = configMap.data;
    this.port = container.ports.find(({ name }) => name === container.readinessProbe.httpGet.port).containerPort;
    this.readyPath = container.readinessProbe.httpGet.path;
    this.livePath = container.livenessProbe.httpGet.path;
    this.jobArguments = job.spec.template.spec.containers[0].args;
    this.pod = `${workload.metadata.name}-0`;
    this.jobPod = job.metadata.name;
    this.container = `${this.pod}-${container.name}`;
    this.jobContainer = `${this.jobPod}-${container.name}`;
    const { template } = job.spec;
    const jobPod = podOf(this.jobPod, { ...template, spec: { ...template.spec, restartPolicy: 'Never' } });
    this.objects = [configMap, jobPod, podOf(this.pod, workload.spec.template)];
  }

  /** As `helm install` does it: the agent comes before its topics, and waits for them. */
  async play(folder) {
    const file = join(folder, `${this.agent}.yaml`);
    writeFileSync(file, this.objects.map((object) => stringify(object)).join('---\n'));
    for (const pod of [this.pod, this.jobPod]) endings.push(() => engine('pod', 'rm', '--force', '--ignore', pod));
    await run(command, ['kube', 'play', file], { env: environment(folder) });
  }

  async expectTopics() {
    const ended = run(command, ['wait', this.jobContainer], { timeout: JOB_MS }).catch((error) => error);
    const code = (await ended).stdout.trim() || `nothing, for ${JOB_MS / 1000} s`;
    if (code !== '0') throw new Error(`it ended with ${code}\n${await logsOf(this.jobContainer)}`);
    // This clone's agent, with the same settings, has to agree.
    const [, , ...replicas] = this.jobArguments;
    const program = [`services/${this.agent}/dist/main.js`, 'topics', 'check', ...replicas];
    await run('node', program, { env: { PATH: process.env.PATH, ...this.settings } });
  }

  async expectReady() {
    await awaitReady(this.container, this.port, this.readyPath);
    expectEqual((await ask(this.port, this.livePath)).status, 200, `the status of ${this.livePath}`);
    await expectConfined(this.container);
    const config = JSON.parse((await ask(this.port, '/config')).text);
    expectEqual(config.instanceId.value, this.pod, 'the instance id');
    const sources = Object.values(config).map(({ source }) => source);
    expectEqual(
      [...Object.keys(this.settings), 'KAFNUS_INSTANCE_ID'].filter(
        (name) => !sources.includes(`environment variable ${name}`),
      ),
      [],
      'what the agent did not get',
    );
    return this.pod;
  }
}

export async function checkRendered() {
  if (command !== 'podman') {
    console.log(`skipped the chart's pods: ${command} runs no Kubernetes objects, podman does`);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'kafnus-rendered-'));
  endings.push(() => rmSync(folder, { recursive: true, force: true }));
  await run('sh', ['scripts/helm/tools.sh', 'helm']);
  // A Kafka of its own: the topics and groups are those of the delivered values.
  const kafka = await startLocalKafka();
  endings.push(() => kafka.stop());
  const brokers = kafka.bootstrapServers;

  const releases = [];
  for (const agent of AGENTS) {
    await check(`${agent}, as the chart renders it: podman takes its pods`, async () => {
      const release = new Release(agent, await render(agent, brokers));
      await release.play(folder);
      releases.push(release);
    });
  }
  // Without one of them, what the others refuse and what errors makes of it would be something
  // else.
  if (releases.length < AGENTS.length) return;
  for (const release of releases) {
    await check(`${release.agent}, as rendered: its Job makes its topics`, () => release.expectTopics());
  }
  await send(brokers);
  for (const release of releases) {
    await check(`${release.agent}, as rendered: it is ready, confined, and called as its pod`, () =>
      release.expectReady(),
    );
    await check(
      `${release.agent}, as rendered: what comes out is what this clone's agent decides, each record once`,
      () => expectOutputs(release.agent, brokers, release.port),
    );
  }
  for (const release of releases) {
    await check(`${release.agent}, as rendered: SIGTERM ends it within ${STOP_SECONDS} s, in order`, () =>
      expectStop(release.container, release.port),
    );
  }
}
