/**
 * Dashboards and rules against running agents: four agents on a real Kafka with records, rejects
 * and faults are scraped by a real Prometheus, which evaluates every query.
 */
import { afterAll, beforeAll, expect, describe, jest, test } from '@jest/globals';
import { metricsReference } from '@kafnus/agent-runtime';
import { AgentProcess, createTopics, produceAll, startLocalKafka, type LocalKafka } from '@kafnus/local-stack';
import { fileURLToPath } from 'node:url';
import { eventually } from '../faults/harness/eventually.js';
import { dashboards, interpolated, queriesOf } from './harness/dashboards.js';
import { groupingLabelsOf, selectorsOf } from './harness/promql.js';
import { startPrometheus, withKafkaAndPrometheus, type Prometheus, type Sample } from './harness/prometheus.js';
import { traffic } from './harness/traffic.js';

jest.setTimeout(180_000);

const agents = ['historic', 'lastdata', 'mutable', 'errors'];
const failpoints = fileURLToPath(new URL('../faults/harness/failpoints.mjs', import.meta.url));

withKafkaAndPrometheus(describe)('on agents at work', () => {
  let kafka: LocalKafka;
  let prometheus: Prometheus;
  const processes: AgentProcess[] = [];
  const flow: { on: boolean; done: Promise<void>; failure?: unknown } = { on: true, done: Promise.resolve() };

  function start(agent: string, instance: string, env: Readonly<Record<string, string>> = {}): AgentProcess {
    const process = new AgentProcess({
      agent,
      brokers: kafka.bootstrapServers,
      env: { KAFNUS_INSTANCE_ID: instance, ...env },
      execArgv: 'FAULT' in env ? ['--import', failpoints] : [],
    });
    processes.push(process);
    return process;
  }

  /** Restarts a process at the same address whenever it ends, as an orchestrator does. */
  async function supervise(process: AgentProcess, agent: string, instance: string): Promise<void> {
    const port = addressOf(process).split(':').at(-1) ?? '';
    for (let running = process; ; running = start(agent, instance, { KAFNUS_HTTP_PORT: port })) {
      await running.ended;
      if (!flow.on) return;
    }
  }

  beforeAll(async () => {
    kafka = await startLocalKafka();
    const raw = ['raw_historic', 'raw_lastdata', 'raw_mutable', 'raw_errors'];
    await createTopics(
      kafka.bootstrapServers,
      raw.map((topic) => ({ topic, partitions: 4 })),
    );
    // Failing commits and two processes with one instance id, so that the series of faults exist as
    // well.
    start('historic', 'historic-0', { FAULT: 'abort-one-in:5' });
    for (const agent of ['lastdata', 'mutable', 'errors']) start(agent, `${agent}-0`);
    const twins = [start('mutable', 'twin'), start('mutable', 'twin')];
    await Promise.all(processes.map((process) => process.untilLogged('"http":"')));
    prometheus = await startPrometheus(
      processes.map((process, index) => ({
        address: addressOf(process),
        labels: { namespace: 'town', instance: `pod-${index}` },
      })),
    );
    for (const twin of twins) void supervise(twin, 'mutable', 'twin');
    flow.done = (async () => {
      for (const records of traffic()) {
        if (!flow.on) return;
        await produceAll(kafka.internalServers, records);
      }
    })();
    flow.done = flow.done.catch((error: unknown) => void (flow.failure = error));
  });

  afterAll(async () => {
    flow.on = false;
    await flow.done;
    await prometheus?.stop();
    await Promise.all(processes.map((process) => process.kill()));
    await kafka?.stop();
  });

  test('every metric of the reference has series, with exactly its labels', async () => {
    await eventually(async () => {
      for (const { name, type, labels } of metricsReference) {
        const found = await prometheus.series(type === 'histogram' ? `${name}_count` : name);
        const names = found.map((series) => Object.keys(series).filter((label) => !fromOutside.has(label)));
        expect({ name, labels: new Set(names.flat()) }).toEqual({ name, labels: new Set(labels) });
      }
    });
    expect(flow.failure).toBeUndefined();
  });

  test.each(dashboards.map((dashboard) => [dashboard.file, dashboard] as const))(
    'every panel of %s shows something, under names that are there',
    async (_file, dashboard) => {
      for (const { place, expr, legend } of queriesOf(dashboard)) {
        await eventually(async () => {
          const found = await shown(expr);
          expect({ place, shown: found.length > 0 }).toEqual({ place, shown: true });
          for (const label of legend)
            expect({ place, label, found: found.some(({ metric }) => label in metric) }).toEqual({
              place,
              label,
              found: true,
            });
        }, 30_000);
      }
    },
  );

  test('the variables of every dashboard have values', async () => {
    const lists = dashboards.flatMap(({ file, templating }) =>
      templating.list.filter(({ type }) => type === 'query').map(({ name, query }) => ({ file, name, query })),
    );
    for (const { file, name, query } of lists) {
      const [, selector = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(query) ?? [];
      expect({ file, label }).toEqual({ file, label: name });
      const series = await prometheus.series(interpolated(selector, { namespace: '.*', agent: 'historic' }));
      expect({ file, name, values: series.some((labels) => label in labels) }).toEqual({ file, name, values: true });
    }
  });

  test('every rule is evaluated, and names existing metrics and labels', async () => {
    await eventually(async () => {
      const rules = await prometheus.rules();
      expect(rules.length).toBeGreaterThan(15);
      for (const { name, health, lastError, query } of rules) {
        expect({ name, health, lastError }).toEqual({ name, health: 'ok', lastError: undefined });
        const selectors = selectorsOf(query);
        expect({ name, selectors: selectors.length > 0 }).toEqual({ name, selectors: true });
        const labels = new Set<string>();
        for (const selector of selectors) {
          const series = await prometheus.series(selector);
          expect({ name, selector, found: series.length > 0 }).toEqual({ name, selector, found: true });
          for (const label of series.flatMap(Object.keys)) labels.add(label);
        }
        expect({ name, unknown: groupingLabelsOf(query).filter((label) => !labels.has(label)) }).toEqual({
          name,
          unknown: [],
        });
      }
      for (const { name } of rules.filter(({ type }) => type === 'recording')) {
        expect({ name, found: (await prometheus.query(name)).length > 0 }).toEqual({ name, found: true });
      }
    });
  });

  test('injected faults raise their alerts', async () => {
    const ours = ['Unkeyed historic', 'Rejects lastdata', 'TransactionsAborting historic'];
    await told([...ours, 'Fenced mutable', 'Restarting mutable']);
  });

  test('an absent agent and an absent Kafka raise their alerts', async () => {
    flow.on = false;
    await flow.done;
    await processes.find((process) => process.log.includes('"agent":"errors"'))?.kill();
    await kafka.brokers[0]?.kill('SIGKILL');
    await told(['AgentAbsent errors', 'InstanceDown pod-3', 'NotReady historic', 'NotReady lastdata']);
  });

  /**
   * Waits until these alerts of an agent or instance are active. Alerts within their `for` duration
   * are pending.
   */
  async function told(alerts: readonly string[]): Promise<void> {
    await eventually(async () => {
      const firing = await prometheus.query('ALERTS');
      const names = firing.map(({ metric }) => `${metric['alertname']} ${metric['agent'] ?? metric['instance']}`);
      expect(names).toEqual(expect.arrayContaining(alerts.map((alert) => `Kafnus${alert}`)));
    }, 90_000);
  }

  /** The results of a panel: with all values of the variables selected, and for each agent. */
  async function shown(expr: string): Promise<readonly Sample[]> {
    const values = { namespace: '.*', instance: '.*', tenant: 'city', __rate_interval: '15s' };
    const answers = await Promise.all(
      agents.map((agent) => prometheus.query(interpolated(expr, { ...values, agent }))),
    );
    return answers.flat().filter(({ value: [, value] }) => value !== 'NaN');
  }
});

/** The address in the agent's log. */
function addressOf(process: AgentProcess): string {
  return /"http":"([^"]+)"/.exec(process.log)?.[1] ?? '';
}

/** The labels that the scrape adds. */
const fromOutside = new Set(['__name__', 'job', 'instance', 'namespace']);
