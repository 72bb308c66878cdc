/** The dashboard of one agent. */
import { dashboard, datasourceVariable, labelVariable } from '../grafana.mjs';
import { lag, late, namespace, quantile, rate, share } from './queries.mjs';

const one = 'namespace=~"$namespace",agent="$agent",instance=~"$instance"';
const perInstance = '{{instance}}';

export const agent = dashboard({
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
