/**
 * Installs the chart on a real Kubernetes control plane: admission under the restricted Pod
 * Security profile, and the controllers of workloads, Jobs, disruption budgets and autoscalers. No
 * containers run: see kubelet.mjs.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { startKubelet } from './kubelet.mjs';
import { startMetricsServer } from './metrics-server.mjs';
import { agents, chart, check, expect, refused, until } from './support.mjs';

const crds = join(import.meta.dirname, 'crds');

export class ClusterChecks {
  /** @param {import('./session.mjs').Session} session */
  constructor(session) {
    this.session = session;
  }

  async all() {
    this.session.endings.push(await startKubelet(this.session.cluster));
    const metricsServer = await startMetricsServer(this.session.cluster);
    this.session.endings.push(() => metricsServer.stop());
    for (const file of readdirSync(crds)) await this.session.kubectl(`apply --server-side -f ${join(crds, file)}`);
    await this.session.kubectl('wait --for=condition=established crd --all --timeout=60s');
    const ns = await this.namespace('dry');
    for (const [name, { file }] of this.session.renderings) {
      await check(`the API server accepts ${name} under the restricted profile, without a warning`, async () => {
        await this.dryRun(file, ns);
      });
    }
    await check('the API server refuses a pod that may be root', async () => {
      const weak = join(this.session.work, 'weak.yaml');
      const values = this.valuesOf('errors');
      const text = await this.session.helm(
        `template weak ${chart} -f ${values} --set podSecurityContext.runAsNonRoot=false`,
      );
      writeFileSync(weak, text);
      await refused(/restricted/, () => this.dryRun(weak, ns));
    });
    const installed = async (name) => {
      await this.release('install', name, this.valuesOf(name), await this.namespace(name));
    };
    await Promise.all([
      ...agents.map((agent) => check(`${agent}: installed, upgraded, uninstalled`, () => this.lifecycle(agent))),
      check('everything at once: installed', () => installed('everything')),
      check('KEDA’s objects: installed', () => installed('lag')),
      check('the autoscaler scales, step by step', () => this.autoscales(metricsServer)),
      check('a drain takes one pod at a time, and it comes back under its name', () => this.drains()),
      check('StatefulSet: a broken image stops at the first pod; rolled back', () => this.rollsBack('StatefulSet')),
      check('Deployment: a broken image stops at the first pod; rolled back', () => this.rollsBack('Deployment')),
    ]);
  }

  /**
   * @returns {Promise<string>} its name, when pods can be made in it; only such as pass the
   * restricted profile
   */
  async namespace(name) {
    const modes = ['enforce', 'warn', 'audit'];
    const labels = Object.fromEntries(modes.map((mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted']));
    await this.session.cluster.request('POST', '/api/v1/namespaces', { metadata: { name, labels } });
    const account = `/api/v1/namespaces/${name}/serviceaccounts/default`;
    await until(`service account of ${name}`, async () => (await this.get(account)) !== undefined);
    return name;
  }

  valuesOf(name) {
    return this.session.renderings.get(name).values;
  }

  get(path) {
    return this.session.cluster.get(path);
  }

  release(verb, name, values, ns, options = '--timeout 90s') {
    return this.session.helm(`${verb} ${name} ${chart} -n ${ns} -f ${values} --wait ${options}`);
  }

  dryRun(file, ns) {
    return this.session.kubectl(`apply -n ${ns} --dry-run=server --validate=strict --warnings-as-errors -f ${file}`);
  }

  async readyPods(ns) {
    const agentsOnly = 'labelSelector=app.kubernetes.io/component!=topics';
    const { items } = await this.get(`/api/v1/namespaces/${ns}/pods?${agentsOnly}`);
    return items.filter(
      ({ status, metadata }) =>
        metadata.deletionTimestamp === undefined &&
        status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True'),
    );
  }

  async lifecycle(agent) {
    const ns = await this.namespace(`life-${agent}`);
    const values = this.valuesOf(agent);
    await this.release('install', agent, values, ns);
    const base = `/apis/apps/v1/namespaces/${ns}/statefulsets/${agent}`;
    const first = await this.get(base);
    expect(first.status.readyReplicas === 1, `ready replicas: ${first.status.readyReplicas}`);
    const jobs = async () => (await this.get(`/apis/batch/v1/namespaces/${ns}/jobs`)).items;
    await until('the topics Job', async () => (await jobs())[0].status.succeeded === 1);

    // The same values change nothing; another setting rolls the pods and runs the Job again.
    await this.release('upgrade', agent, values, ns);
    const same = await this.get(base);
    expect(same.metadata.generation === first.metadata.generation, 'an upgrade without a change changed the workload');
    const [job] = await jobs();
    await this.release('upgrade', agent, values, ns, '--set logLevel=debug');
    const changed = await this.get(base);
    expect(changed.status.updateRevision !== first.status.updateRevision, 'another setting did not roll the pods');
    await until('a new Job in place of the old one', async () => {
      const names = (await jobs()).map(({ metadata }) => metadata.name);
      return (names.length === 1 && names[0] !== job.metadata.name) || names;
    });
    if (agent !== 'errors') {
      const scaler = await this.get(`/apis/autoscaling/v2/namespaces/${ns}/horizontalpodautoscalers/${agent}`);
      expect(scaler.spec.scaleTargetRef.kind === 'StatefulSet', 'the autoscaler has no StatefulSet');
    }
    await this.session.helm(`uninstall ${agent} -n ${ns} --wait --timeout 90s`);
    await until('nothing is left', async () => {
      const left = await this.session.kubectl(`get all,cm,sa,pdb,hpa -n ${ns} -o name`);
      const ours = left.split('\n').filter((line) => line !== '' && !/\/(default|kube-root-ca\.crt)$/.test(line));
      return ours.length === 0 || ours;
    });
  }

  async autoscales(metricsServer) {
    const ns = await this.namespace('scales');
    // Without the windows, in which the autoscaler only looks, and with seconds for minutes on the
    // way down.
    const options = [
      'scaleUp.stabilizationWindowSeconds=0',
      'scaleDown.stabilizationWindowSeconds=0',
      'scaleDown.policies[0].type=Pods',
      'scaleDown.policies[0].value=1',
      'scaleDown.policies[0].periodSeconds=5',
    ]
      .map((value) => `--set autoscaling.behavior.${value}`)
      .join(' ');
    const values = this.valuesOf('historic');
    const status = async () =>
      (await this.get(`/apis/autoscaling/v2/namespaces/${ns}/horizontalpodautoscalers/historic`)).status;
    const reason = async (type) => (await status()).conditions?.find((condition) => condition.type === type)?.reason;
    const limited = async (why) => (await reason('ScalingLimited')) === why || (await reason('ScalingLimited'));
    const pods = async (wanted) => {
      const { length } = await this.readyPods(ns);
      return length === wanted || length;
    };
    metricsServer.setCpu(100);
    await this.release('install', 'historic', values, ns, options);
    await until('the autoscaler sees the CPU', async () => (await reason('ScalingActive')) === 'ValidMetricFound');
    metricsServer.setCpu(4000);
    await until('two pods more at a high load', () => pods(3));
    await until('the next two only two minutes later', () => limited('ScaleUpLimit'));
    // A setting is changed while it is scaled out: Helm must leave the number of pods alone.
    await this.release('upgrade', 'historic', values, ns, `${options} --set logLevel=debug`);
    expect((await pods(3)) === true, 'an upgrade changed the number of pods');
    // Pods that came within the period make up for those that go, and nothing is limited. The time
    // is told in whole seconds.
    const restedMs = async () => Date.now() - Date.parse((await status()).lastScaleTime);
    await until('the pods that came are older than the period of five seconds', async () => (await restedMs()) > 6000);
    metricsServer.setCpu(10);
    // The limit holds for five seconds, however long the first pod takes to end.
    await until('one pod at a time less without load', () => limited('ScaleDownLimit'));
    await until('one pod in the end', () => pods(1));
  }

  async drains() {
    const ns = await this.namespace('drains');
    await this.release('install', 'historic', this.valuesOf('errors'), ns, '--set replicas=3');
    const budget = async () =>
      (await this.get(`/apis/policy/v1/namespaces/${ns}/poddisruptionbudgets/historic`)).status;
    await until('the budget counts three', async () => (await budget()).currentHealthy === 3 || (await budget()));
    const evict = async (pod) =>
      (
        await this.session.cluster.request('POST', `/api/v1/namespaces/${ns}/pods/${pod}/eviction`, {
          apiVersion: 'policy/v1',
          kind: 'Eviction',
          metadata: { name: pod, namespace: ns },
        })
      ).code;
    const codes = [await evict('historic-0'), await evict('historic-1')];
    expect(codes[0] === 201 && codes[1] === 429, `evictions answered ${codes.join(' and ')}, not 201 and 429`);
    // The pod comes back under its name, and with it the transactional id.
    await until('three pods under their names', async () => {
      const names = (await this.readyPods(ns)).map(({ metadata }) => metadata.name).sort();
      return names.join() === 'historic-0,historic-1,historic-2' || names;
    });
  }

  async rollsBack(kind) {
    const ns = await this.namespace(`back-${kind.toLowerCase()}`);
    const values = this.valuesOf('errors');
    const options = `--set workload.kind=${kind} --set replicas=3`;
    await this.release('install', 'errors', values, ns, options);
    await refused(/(timed? ?out|deadline)/i, () =>
      this.release('upgrade', 'errors', values, ns, `${options} --set image.tag=broken --timeout 5s`),
    );
    const ready = await this.readyPods(ns);
    expect(ready.length === 2, `a broken image left ${ready.length} of 3 pods ready, and not 2`);
    await this.session.helm(`rollback errors -n ${ns} --wait --timeout 90s`);
    await until('three pods of the old image', async () => {
      const images = (await this.readyPods(ns)).map(({ spec }) => spec.containers[0].image);
      return (images.length === 3 && images.every((image) => !image.endsWith(':broken'))) || images;
    });
  }
}
