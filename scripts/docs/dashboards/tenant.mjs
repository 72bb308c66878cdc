/** The dashboard of one tenant. */
import { dashboard, datasourceVariable, labelVariable } from '../grafana.mjs';
import { all, late, namespace, perAgent, rate, share } from './queries.mjs';

const itsOwn = 'namespace=~"$namespace",tenant="$tenant"';

export const tenant = dashboard({
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
