/** The dashboard of all agents. */
import { dashboard, datasourceVariable } from '../grafana.mjs';
import { all, lag, late, namespace, perAgent, quantile, rate, share } from './queries.mjs';

export const fleet = dashboard({
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
