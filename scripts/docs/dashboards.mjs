/**
 * The definitions of the three dashboards. Their rows follow the order of a diagnosis. The limits
 * are those of the alerts (deploy/alerts/kafnus.rules.yaml).
 */
import { dashboard, datasourceVariable, labelVariable } from './grafana.mjs';

const namespace = labelVariable('namespace', 'kafnus_build_info');

/**
 * A rate over Grafana's `$__rate_interval`. `by` is a list of labels, to which the namespace is
 * added.
 */
const rate = (metric, selector, by) =>
  `sum by (${['namespace', ...by].join(', ')}) (rate(${metric}{${selector}}[$__rate_interval]))`;

/** The ratio of two rates; no value when nothing is read. */
const share = (part, whole, selector, by) => `${rate(part, selector, by)} / (${rate(whole, selector, by)} > 0)`;

const quantile = (q, metric, selector, by) =>
  `histogram_quantile(${q}, ${rate(`${metric}_bucket`, selector, [...by, 'le'])})`;

/** In a rebalance two processes may tell the lag of one partition for a moment: it counts once. */
const lag = (selector, by) =>
  `sum by (${['namespace', ...by].join(', ')}) (max by (namespace, agent, topic, partition) (kafnus_consumer_lag{${selector}}))`;

const late = { warning: 300, critical: 3600 };

// --- all agents ----------------------------------------------------------------------------------

const all = 'namespace=~"$namespace"';
const perAgent = '{{agent}} {{namespace}}';

const fleet = dashboard({
  uid: 'kafnus-fleet',
  title: 'Kafnus: all agents',
  description: 'Every agent at a glance: start here, and go on to one agent or one tenant.',
  variables: [datasourceVariable(), namespace],
  rows: [
    {
      title: 'Is it alive?',
      panels: [
        {
          title: 'Ready processes',
          description: 'Processes whose /ready answers 200. Red: none of this agent does.',
          type: 'stat',
          queries: [[`sum by (namespace, agent) (kafnus_ready{${all}})`, perAgent]],
          limits: { critical: 1, below: true },
        },
        {
          title: 'Stalled processes',
          description: 'Records wait and nothing is committed. /live fails: the orchestrator starts the process again.',
          type: 'stat',
          queries: [[`sum by (namespace, agent) (kafnus_stalled{${all}})`, perAgent]],
          limits: { critical: 1 },
        },
        {
          title: 'Alerts that fire',
          description: 'Of deploy/alerts. The number is how many of the same fire.',
          type: 'stat',
          queries: [
            [
              'count by (alertname, severity) (ALERTS{alertname=~"Kafnus.+",alertstate="firing"})',
              '{{alertname}} ({{severity}})',
            ],
          ],
          limits: { critical: 1 },
          none: 'none',
        },
        {
          title: 'Not ready, restoring, without partitions',
          description:
            'Processes that do not work. A few seconds after a start are normal. More processes than partitions of the input: some have none.',
          queries: [
            [`sum by (namespace, agent) (kafnus_ready{${all}} == bool 0)`, `not ready: ${perAgent}`],
            [`sum by (namespace, agent) (kafnus_restoring_partitions{${all}} > bool 0)`, `restoring: ${perAgent}`],
            [
              `sum by (namespace, agent) (kafnus_assigned_partitions{${all}} == bool 0)`,
              `without partitions: ${perAgent}`,
            ],
          ],
          decimals: 0,
        },
        {
          title: 'Starts within the last hour',
          description: 'Deployments, or processes that end again and again.',
          queries: [[`sum by (namespace, agent) (changes(kafnus_process_start_time_seconds{${all}}[1h]))`, perAgent]],
          decimals: 0,
        },
        {
          title: 'Versions',
          description: 'Processes by version. Two of one agent: a deployment is under way, or got stuck.',
          type: 'bargauge',
          queries: [
            [`count by (namespace, agent, version) (kafnus_build_info{${all}})`, '{{agent}} {{version}} {{namespace}}'],
          ],
          decimals: 0,
        },
      ],
    },
    {
      title: 'Is it behind?',
      panels: [
        {
          title: 'Behind, in time',
          description: 'Age of the last committed record of the partition that is latest; 0 where nothing waits.',
          queries: [[`max by (namespace, agent) (kafnus_event_time_lag_seconds{${all}})`, perAgent]],
          unit: 's',
          limits: late,
        },
        {
          title: 'Behind, in records',
          description: 'Records that wait in the raw topics.',
          queries: [[lag(all, ['agent']), perAgent]],
        },
        {
          title: 'Time to catch up',
          description: 'What waits, divided by what is processed: how long it would take if nothing more came in.',
          queries: [[`${lag(all, ['agent'])} / (${rate('kafnus_records_read_total', all, ['agent'])} > 0)`, perAgent]],
          unit: 's',
          limits: { warning: 300 },
        },
      ],
    },
    {
      title: 'Is it refusing?',
      panels: [
        {
          title: 'Share of records dead-lettered',
          description: 'Refused in whole or in part, of those read.',
          queries: [[share('kafnus_dead_letters_total', 'kafnus_records_read_total', all, ['agent']), perAgent]],
          unit: 'percentunit',
          limits: { warning: 0.05 },
        },
        {
          title: 'Records rejected, by reason',
          description: 'Refused as a whole. The reasons are in docs/metrics.md.',
          queries: [[rate('kafnus_records_rejected_total', all, ['agent', 'reason']), '{{agent}}: {{reason}}']],
          unit: 'cps',
        },
        {
          title: 'Parts refused, by code',
          description: 'Entities and attributes refused in records of which the rest went out.',
          queries: [[rate('kafnus_reports_total', all, ['agent', 'code']), '{{agent}}: {{code}}']],
          unit: 'cps',
        },
        {
          title: 'Tenants with the most dead letters, last hour',
          description: 'Whose publishers to talk to.',
          type: 'bargauge',
          queries: [[`topk(10, sum by (tenant) (increase(kafnus_dead_letters_total{${all}}[1h])) > 0)`, '{{tenant}}']],
          decimals: 0,
          none: 'none',
        },
        {
          title: 'Refused by agents, and all that errors reads',
          description:
            'The errors agent reads what the agents and the sinks refused: what it reads more than the agents write is what the sinks refused.',
          queries: [
            [`sum(rate(kafnus_dead_letters_total{${all},agent!="errors"}[$__rate_interval]))`, 'refused by agents'],
            [`sum(rate(kafnus_records_read_total{${all},agent="errors"}[$__rate_interval]))`, 'read by errors'],
          ],
          unit: 'cps',
        },
        {
          title: 'Topics not writable, records without key',
          description:
            'Both are 0 when all is well: the cluster refuses a topic of a tenant; a publisher sets no key, and nothing orders its records.',
          queries: [
            [rate('kafnus_topic_failures_total', all, ['agent']), `not writable: ${perAgent}`],
            [rate('kafnus_unkeyed_records_total', all, ['agent']), `without key: ${perAgent}`],
          ],
          unit: 'cps',
        },
      ],
    },
    {
      title: 'Is it slow?',
      panels: [
        {
          title: 'Records read',
          description: 'Read and committed.',
          queries: [[rate('kafnus_records_read_total', all, ['agent']), perAgent]],
          unit: 'cps',
        },
        {
          title: 'Time of a commit',
          description: 'Some ten milliseconds when the brokers are well.',
          queries: [
            [quantile(0.5, 'kafnus_transaction_duration_seconds', all, ['agent']), `p50 ${perAgent}`],
            [quantile(0.99, 'kafnus_transaction_duration_seconds', all, ['agent']), `p99 ${perAgent}`],
          ],
          unit: 's',
          limits: { warning: 1 },
        },
        {
          title: 'Busiest tenants',
          description: 'Records read, over five minutes. `_other` are tenants beyond KAFNUS_MAX_TENANT_LABELS.',
          type: 'bargauge',
          queries: [[`topk(10, sum by (tenant) (rate(kafnus_records_read_total{${all}}[5m])))`, '{{tenant}}']],
          unit: 'cps',
        },
      ],
    },
    {
      title: 'Why?',
      panels: [
        {
          title: 'Transactions aborted, producers recreated',
          description: 'Records of an aborted transaction are read again: nothing is lost.',
          queries: [
            [rate('kafnus_transactions_aborted_total', all, ['agent', 'cause']), 'aborted: {{agent}} {{cause}}'],
            [rate('kafnus_recoveries_total', all, ['agent', 'cause']), 'recreated: {{agent}} {{cause}}'],
            [rate('kafnus_fenced_total', all, ['agent']), 'fenced: {{agent}}'],
          ],
          unit: 'cps',
        },
        {
          title: 'Rebalances',
          description: 'Partitions handed out and taken away. `lost`: a process did not answer in time.',
          queries: [[rate('kafnus_rebalances_total', all, ['agent', 'kind']), '{{agent}} {{kind}}']],
          unit: 'cps',
        },
        {
          title: 'Broker problems',
          description: 'Errors of connections to the brokers; the client tries again by itself.',
          queries: [[rate('kafnus_broker_problems_total', all, ['agent']), perAgent]],
          unit: 'cps',
        },
        {
          title: 'CPU of the busiest process',
          description: 'Of one core. A process uses little more than one: at 1, more processes help.',
          queries: [
            [`max by (namespace, agent) (rate(kafnus_process_cpu_seconds_total{${all}}[$__rate_interval]))`, perAgent],
          ],
          unit: 'percentunit',
        },
        {
          title: 'Memory of the largest process',
          description: 'Resident. Without state 170 to 200 MB at full load; lastdata adds 120 bytes for each entity.',
          queries: [[`max by (namespace, agent) (kafnus_process_resident_memory_bytes{${all}})`, perAgent]],
          unit: 'bytes',
        },
        {
          title: 'Entities in the state',
          description: 'Of lastdata, over all processes.',
          queries: [[`sum by (namespace, agent) (kafnus_state_entries{${all},agent="lastdata"})`, perAgent]],
        },
      ],
    },
  ],
});

// --- one agent -----------------------------------------------------------------------------------

const one = 'namespace=~"$namespace",agent="$agent",instance=~"$instance"';
const perInstance = '{{instance}}';

const agent = dashboard({
  uid: 'kafnus-agent',
  title: 'Kafnus: one agent',
  description: 'The processes and partitions of one agent.',
  variables: [
    datasourceVariable(),
    namespace,
    labelVariable('agent', 'kafnus_build_info{namespace=~"$namespace"}', { single: true }),
    labelVariable('instance', 'kafnus_build_info{namespace=~"$namespace",agent="$agent"}'),
  ],
  rows: [
    {
      title: 'Is it alive?',
      panels: [
        {
          title: 'Ready',
          description: '1: /ready answers 200. Otherwise its body says why.',
          type: 'stat',
          queries: [[`kafnus_ready{${one}}`, perInstance]],
          limits: { critical: 1, below: true },
          width: 6,
        },
        {
          title: 'Stalled',
          description: '1: records wait, and nothing is committed. /live fails.',
          type: 'stat',
          queries: [[`kafnus_stalled{${one}}`, perInstance]],
          limits: { critical: 1 },
          width: 6,
        },
        {
          title: 'Up for',
          description: 'Time since the start of the process.',
          type: 'stat',
          queries: [[`time() - kafnus_process_start_time_seconds{${one}}`, perInstance]],
          unit: 's',
          width: 6,
        },
        {
          title: 'Last commit',
          description: 'Time since it. Long is normal where nothing comes in; look at the lag.',
          type: 'stat',
          queries: [[`time() - (kafnus_last_commit_timestamp_seconds{${one}} > 0)`, perInstance]],
          unit: 's',
          none: 'none yet',
          width: 6,
        },
        {
          title: 'Partitions',
          description: 'Assigned to each process. 0: more processes than partitions, or the group has not answered.',
          queries: [[`kafnus_assigned_partitions{${one}}`, perInstance]],
          decimals: 0,
          stacked: true,
          width: 12,
        },
        {
          title: 'Restore: records of the changelog left',
          description: 'Of the running restores. Some 100,000 a second are usual.',
          queries: [
            [`kafnus_restore_remaining_records{${one}}`, `records left: ${perInstance}`],
            [`kafnus_restoring_partitions{${one}}`, `partitions: ${perInstance}`],
          ],
          width: 12,
        },
      ],
    },
    {
      title: 'Is it behind?',
      panels: [
        {
          title: 'Behind, in time, by partition',
          description: 'Age of the last committed record; 0 where nothing waits.',
          queries: [[`max by (topic, partition) (kafnus_event_time_lag_seconds{${one}})`, '{{topic}} {{partition}}']],
          unit: 's',
          limits: late,
        },
        {
          title: 'Behind, in records, by partition',
          description: 'One far above the others: a hot key, records without key, or one slow process.',
          queries: [[`max by (topic, partition) (kafnus_consumer_lag{${one}})`, '{{topic}} {{partition}}']],
        },
        {
          title: 'Time to catch up',
          description: 'What waits, divided by what is processed: how long it would take if nothing more came in.',
          queries: [
            [`${lag(one, ['agent'])} / (${rate('kafnus_records_read_total', one, ['agent'])} > 0)`, '{{namespace}}'],
          ],
          unit: 's',
          limits: { warning: 300 },
        },
      ],
    },
    {
      title: 'Is it refusing?',
      panels: [
        {
          title: 'What became of the records',
          description: 'The three add up to what was read.',
          queries: [
            [rate('kafnus_records_emitted_total', one, []), 'emitted'],
            [rate('kafnus_records_skipped_total', one, ['reason']), 'skipped: {{reason}}'],
            [rate('kafnus_records_rejected_total', one, ['reason']), 'rejected: {{reason}}'],
          ],
          unit: 'cps',
          stacked: true,
        },
        {
          title: 'Share dead-lettered, by tenant',
          description: 'Refused in whole or in part, of those read: the ten tenants with the largest share.',
          queries: [
            [
              `topk(10, ${share('kafnus_dead_letters_total', 'kafnus_records_read_total', one, ['tenant'])})`,
              '{{tenant}}',
            ],
          ],
          unit: 'percentunit',
          limits: { warning: 0.05 },
        },
        {
          title: 'Parts refused or left out',
          description: 'Entities and attributes of records of which the rest went out.',
          queries: [
            [rate('kafnus_reports_total', one, ['code']), 'refused: {{code}}'],
            [rate('kafnus_parts_skipped_total', one, ['reason']), 'left out: {{reason}}'],
          ],
          unit: 'cps',
        },
        {
          title: 'Topics not writable, records without key',
          description: 'Both are 0 when all is well.',
          queries: [
            [rate('kafnus_topic_failures_total', one, ['instance']), `not writable: ${perInstance}`],
            [rate('kafnus_unkeyed_records_total', one, ['instance']), `without key: ${perInstance}`],
          ],
          unit: 'cps',
        },
        {
          title: 'Topics created',
          description: 'A new tenant has one; many at once are a publisher that makes names up.',
          queries: [[`sum by (namespace) (increase(kafnus_topics_created_total{${one}}[1h]))`, 'last hour']],
          decimals: 0,
        },
      ],
    },
    {
      title: 'Is it slow?',
      panels: [
        {
          title: 'Records read',
          description: 'Read and committed.',
          queries: [[rate('kafnus_records_read_total', one, ['instance']), perInstance]],
          unit: 'cps',
          stacked: true,
        },
        {
          title: 'Records written',
          description: 'To output topics; a notification may hold many entities.',
          queries: [[rate('kafnus_outputs_total', one, ['instance']), perInstance]],
          unit: 'cps',
          stacked: true,
        },
        {
          title: 'Time of a commit',
          description: 'Some ten milliseconds when the brokers are well.',
          queries: [
            [quantile(0.5, 'kafnus_transaction_duration_seconds', one, ['instance']), `p50 ${perInstance}`],
            [quantile(0.99, 'kafnus_transaction_duration_seconds', one, ['instance']), `p99 ${perInstance}`],
          ],
          unit: 's',
          limits: { warning: 1 },
        },
        {
          title: 'Time that a transaction is open',
          description:
            'Until its commit starts: up to KAFNUS_COMMIT_INTERVAL_MS under load, longer where commits take longer.',
          queries: [
            [quantile(0.5, 'kafnus_batch_duration_seconds', one, ['instance']), `p50 ${perInstance}`],
            [quantile(0.99, 'kafnus_batch_duration_seconds', one, ['instance']), `p99 ${perInstance}`],
          ],
          unit: 's',
        },
        {
          title: 'Records in a transaction',
          description: 'Many under load, one when little comes in.',
          queries: [
            [share('kafnus_records_read_total', 'kafnus_transactions_committed_total', one, ['instance']), perInstance],
          ],
        },
        {
          title: 'Transactions committed',
          description: 'Each costs the brokers a marker in every partition that it touched.',
          queries: [[rate('kafnus_transactions_committed_total', one, ['instance']), perInstance]],
          unit: 'cps',
        },
      ],
    },
    {
      title: 'Why?',
      panels: [
        {
          title: 'Transactions aborted, retried; producers recreated',
          description: 'Records of an aborted transaction are read again: nothing is lost.',
          queries: [
            [rate('kafnus_transactions_aborted_total', one, ['cause']), 'aborted: {{cause}}'],
            [rate('kafnus_commit_retries_total', one, []), 'retried'],
            [rate('kafnus_recoveries_total', one, ['cause']), 'recreated: {{cause}}'],
            [rate('kafnus_fenced_total', one, []), 'fenced'],
          ],
          unit: 'cps',
        },
        {
          title: 'Rebalances',
          description: 'Partitions handed out and taken away. `lost`: a process did not answer in time.',
          queries: [[rate('kafnus_rebalances_total', one, ['kind']), '{{kind}}']],
          unit: 'cps',
        },
        {
          title: 'Broker problems',
          description: 'Errors of connections to the brokers; the client tries again by itself.',
          queries: [[rate('kafnus_broker_problems_total', one, ['instance']), perInstance]],
          unit: 'cps',
        },
        {
          title: 'CPU',
          description: 'Of one core. A process uses little more than one.',
          queries: [[`rate(kafnus_process_cpu_seconds_total{${one}}[$__rate_interval])`, perInstance]],
          unit: 'percentunit',
        },
        {
          title: 'Main thread: delay',
          description:
            'How late timers fire, p99 since the last scrape. Above 0.1 s the thread is busy, or the machine is.',
          queries: [[`kafnus_nodejs_eventloop_lag_p99_seconds{${one}}`, perInstance]],
          unit: 's',
        },
        {
          title: 'Main thread: garbage collection',
          description: 'Share of the time that it takes.',
          queries: [
            [`sum by (instance) (rate(kafnus_nodejs_gc_duration_seconds_sum{${one}}[$__rate_interval]))`, perInstance],
          ],
          unit: 'percentunit',
        },
        {
          title: 'Memory',
          description: 'Resident, and what of it is the heap of JavaScript.',
          queries: [
            [`kafnus_process_resident_memory_bytes{${one}}`, `resident ${perInstance}`],
            [`kafnus_nodejs_heap_size_used_bytes{${one}}`, `heap ${perInstance}`],
          ],
          unit: 'bytes',
        },
        {
          title: 'Entities in the state',
          description: 'Of lastdata; 0 for agents without state.',
          queries: [[`kafnus_state_entries{${one}}`, perInstance]],
          stacked: true,
        },
        {
          title: 'Last restore, by partition',
          description: 'How long it took. Nothing for agents without state.',
          queries: [[`max by (partition) (kafnus_restore_seconds{${one}})`, 'partition {{partition}}']],
          unit: 's',
        },
      ],
    },
  ],
});

// --- one tenant ----------------------------------------------------------------------------------

const itsOwn = 'namespace=~"$namespace",tenant="$tenant"';

const tenant = dashboard({
  uid: 'kafnus-tenant',
  title: 'Kafnus: one tenant',
  description:
    'What became of the notifications of one fiware-service. Tenants beyond KAFNUS_MAX_TENANT_LABELS share the name _other.',
  variables: [
    datasourceVariable(),
    namespace,
    labelVariable('tenant', 'kafnus_records_read_total{namespace=~"$namespace"}', { single: true }),
  ],
  rows: [
    {
      title: 'Does anything arrive?',
      panels: [
        {
          title: 'Records read',
          description: 'By agent. 0 while others have something: look at its subscriptions in Orion.',
          queries: [[rate('kafnus_records_read_total', itsOwn, ['agent']), perAgent]],
          unit: 'cps',
        },
        {
          title: 'Records written',
          description: 'To its output topics, from which the sinks make rows.',
          queries: [[rate('kafnus_outputs_total', itsOwn, ['agent']), perAgent]],
          unit: 'cps',
        },
        {
          title: 'Share of all records',
          description: 'How much of the load is of this tenant.',
          queries: [
            [
              `${rate('kafnus_records_read_total', itsOwn, ['agent'])} / ${rate('kafnus_records_read_total', all, ['agent'])}`,
              perAgent,
            ],
          ],
          unit: 'percentunit',
          max: 1,
        },
      ],
    },
    {
      title: 'Is it behind?',
      panels: [
        {
          title: 'Behind, in time',
          description: 'Of the agents: tenants share the partitions of the raw topics, and are late together.',
          queries: [[`max by (namespace, agent) (kafnus_event_time_lag_seconds{${all}})`, perAgent]],
          unit: 's',
          limits: late,
          width: 24,
        },
      ],
    },
    {
      title: 'Is it refused?',
      panels: [
        {
          title: 'Share of records dead-lettered',
          description: 'Refused in whole or in part, of those read.',
          queries: [[share('kafnus_dead_letters_total', 'kafnus_records_read_total', itsOwn, ['agent']), perAgent]],
          unit: 'percentunit',
          limits: { warning: 0.05 },
        },
        {
          title: 'Records rejected, by reason',
          description: 'Refused as a whole.',
          queries: [[rate('kafnus_records_rejected_total', itsOwn, ['agent', 'reason']), '{{agent}}: {{reason}}']],
          unit: 'cps',
        },
        {
          title: 'Parts refused, by code',
          description: 'Entities and attributes refused in records of which the rest went out.',
          queries: [[rate('kafnus_reports_total', itsOwn, ['agent', 'code']), '{{agent}}: {{code}}']],
          unit: 'cps',
        },
        {
          title: 'What became of the records',
          description: 'The three add up to what was read.',
          queries: [
            [rate('kafnus_records_emitted_total', itsOwn, ['agent']), '{{agent}}: emitted'],
            [rate('kafnus_records_skipped_total', itsOwn, ['agent', 'reason']), '{{agent}}: skipped, {{reason}}'],
            [rate('kafnus_records_rejected_total', itsOwn, ['agent', 'reason']), '{{agent}}: rejected, {{reason}}'],
          ],
          unit: 'cps',
          stacked: true,
          width: 12,
        },
        {
          title: 'Failures in its error log',
          description:
            'What the agents and the sinks refused, as the errors agent wrote it into the error table of the tenant.',
          queries: [[rate('kafnus_outputs_total', `${itsOwn},agent="errors"`, []), 'rows {{namespace}}']],
          unit: 'cps',
          width: 12,
        },
      ],
    },
  ],
});

/** By file name. */
export const dashboards = { 'fleet.json': fleet, 'agent.json': agent, 'tenant.json': tenant };
