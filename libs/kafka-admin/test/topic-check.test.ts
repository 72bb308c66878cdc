import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  applied,
  brief,
  but,
  changelog,
  check,
  cluster,
  errors,
  historic,
  lastdata,
  partitions,
  there,
} from './topics-scene.js';
import { duration } from '../src/topics/finding-text.js';
import type { TopicFinding } from '../src/topics/topic-finding.js';
import { findingLevels, hasNoErrors, sortedFindings } from '../src/finding.js';
import { planTopics } from '../src/topics/topic-plan.js';
import type { ClusterView, TopicRight } from '../src/topics/cluster-view.js';

const all = [historic, lastdata, errors];
const good = applied(all);
const onThree = applied(all, { brokers: 3, defaultReplication: 3 });

/** What differs from a good cluster. */
function found(topic: string, settings: Record<string, string>, from: ClusterView = good): string[] {
  const view = from.topics.get(topic);
  if (view?.kind !== 'there' || view.config.kind !== 'known') throw new Error(`${topic} is not there`);
  const values = new Map([...view.config.values, ...Object.entries(settings)]);
  return brief(check(all, but(from, { [topic]: { ...view, config: { kind: 'known', values } } })));
}

test.each([good, onThree])('a cluster as planned fits', (view) => {
  expect(check(all, view, { replicas: 4 })).toEqual([]);
});

describe('topics that are not there', () => {
  test('an input is an error, what the agent creates by itself a warning', () => {
    expect(brief(check([lastdata], cluster({})))).toEqual([
      'error topic-missing raw_lastdata',
      'warning topic-missing raw_errors',
      `warning topic-missing ${changelog}`,
    ]);
  });

  test('without KAFNUS_TOPICS_CREATE a dead-letter topic must be there', () => {
    const findings = check([{ ...historic, createsTopics: false }], cluster({ raw_historic: there() }));
    expect(findings).toMatchObject([{ level: 'error', code: 'topic-missing', topic: 'raw_errors' }]);
    expect(findings[0]?.message).toContain('historic waits for it at its first refusal');
  });

  test('what the user may not see is told as such, and nothing else of it', () => {
    const view = but(good, { raw_lastdata: { kind: 'hidden' } });
    const findings = check(all, view);
    expect(brief(findings)).toEqual(['error topic-hidden raw_lastdata']);
    expect(findings[0]?.advice).toBe('grant the user Describe on topic raw_lastdata');
  });
});

describe('rights', () => {
  const granted = (...rights: TopicRight[]): ClusterView =>
    but(good, {
      [changelog]: there({ 'cleanup.policy': 'compact', 'segment.bytes': '1' }, { rights: new Set(rights) }),
    });

  test.each([
    [['Describe'], 'Read and Write'],
    [['Describe', 'Read'], 'Write'],
    [['Write'], 'Read'],
  ] as const)('with %j on the changelog: %s is missing', (rights, missing) => {
    const [finding, ...others] = check([lastdata], granted(...rights), { asAgent: true });
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ level: 'error', code: 'right-missing', topic: changelog });
    expect(finding?.advice).toBe(`grant the user ${missing} on topic ${changelog}`);
  });

  test('all of them, or a cluster without ACLs', () => {
    expect(check([lastdata], granted('Read', 'Write', 'Describe'), { asAgent: true })).toEqual([]);
    expect(check([lastdata], good, { asAgent: true })).toEqual([]);
  });

  test('somebody else who looks may have other rights than the agent', () => {
    expect(brief(check([lastdata], granted('Describe')))).toEqual([`note right-missing ${changelog}`]);
  });
});

describe('partitions', () => {
  test('more instances than partitions', () => {
    const [finding] = check([historic], good, { replicas: 6 });
    expect(finding).toMatchObject({ level: 'warning', code: 'partitions-few', topic: 'raw_historic' });
    expect(finding?.message).toContain('4 partitions for 6 instances of historic');
    expect(finding?.message).toContain('2 get nothing to do');
    expect(check([historic], good, { replicas: 4 })).toEqual([]);
  });

  test('more living members than partitions, of the group that reads the topic', () => {
    const members = new Map([
      ['ngsi-agent-historic', 5],
      ['ngsi-agent-lastdata', 4],
    ]);
    const [finding, ...others] = check(all, { ...good, members });
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ code: 'partitions-few', topic: 'raw_historic' });
    expect(finding?.message).toContain('5 members of ngsi-agent-historic');
  });

  test('another number than is set is worth a note, whichever is more', () => {
    for (const count of [1, 8]) {
      expect(brief(check([historic], but(good, { raw_historic: there({}, {}, count) })))).toEqual([
        'note partitions-differ raw_historic',
      ]);
    }
  });

  test('a changelog that is not co-partitioned with its input', () => {
    const findings = check([lastdata], but(good, { raw_lastdata: there({}, {}, 8) }));
    expect(brief(findings)).toEqual(['note partitions-differ raw_lastdata', `error not-copartitioned ${changelog}`]);
    expect(findings[1]?.message).toContain(
      'kafnus state repartition --group ngsi-agent-lastdata --input-topic raw_lastdata --partitions 8',
    );
    expect(findings[1]?.fix).toBeUndefined();
  });
});

describe('copies', () => {
  const one = (count: number, settings = {}, inSync = count): ClusterView =>
    but(onThree, { raw_historic: there(settings, { partitions: partitions(4, count, inSync) }) });

  test.each([
    ['one of three, by default', -1, 1, 'error replication-low'],
    ['one of three, as it was set', 1, 1, 'note replication-low'],
    ['two of three that were set', 3, 2, 'warning replication-low'],
    ['three of two that were set', 2, 3, undefined],
  ])('%s', (_, replication, replicas, expected) => {
    const settings = replicas === 3 ? { 'min.insync.replicas': '2' } : {};
    const codes = brief(check([{ ...historic, replication }], one(replicas, settings)))
      .filter((finding) => finding.endsWith('raw_historic'))
      .map((finding) => finding.replace(' raw_historic', ''));
    expect(codes).toEqual(expected === undefined ? [] : [expected]);
  });

  test('one replica of one broker is all there can be', () => {
    expect(check([historic], good)).toEqual([]);
  });

  test.each([
    ['3', '1', 'warning min-isr-low', '2'],
    ['3', '2', undefined, undefined],
    ['3', '3', 'warning min-isr-high', '2'],
    ['3', '4', 'error min-isr-high', '2'],
    ['2', '2', 'warning min-isr-high', '1'],
    ['2', '1', undefined, undefined],
    ['5', '2', undefined, undefined],
    ['5', '1', 'warning min-isr-low', '4'],
  ])('%s replicas and min.insync.replicas=%s', (replicas, least, expected, value) => {
    const findings = check([historic], one(Number(replicas), { 'min.insync.replicas': least }));
    expect(brief(findings)).toEqual(expected === undefined ? [] : [`${expected} raw_historic`]);
    expect(findings[0]?.fix?.value).toBe(value);
  });

  test('replicas that are behind: a warning, and an error when writes stop', () => {
    expect(brief(check([historic], one(3, { 'min.insync.replicas': '2' }, 2)))).toEqual([
      'warning partition-behind raw_historic',
    ]);
    const stopped = check([historic], one(3, { 'min.insync.replicas': '2' }, 1));
    expect(brief(stopped)).toEqual(['error partition-behind raw_historic']);
    expect(stopped[0]?.message).toMatch(
      /^partitions 0, 1, 2, 3 with fewer replicas in sync than min.insync.replicas \(2\)/,
    );
  });

  test('partitions without a leader, of many only some by number', () => {
    const away = partitions(20, 3).map((partition) => ({
      ...partition,
      hasLeader: partition.partition < 5,
      inSync: 0,
    }));
    const view = but(onThree, { raw_historic: there({}, { partitions: away }) });
    const finding = check([historic], view).find(({ code }) => code === 'partition-offline');
    expect(finding?.message).toMatch(/^partitions 5, 6, 7, 8, 9, 10, 11, 12, and 7 more, without a leader/);
  });

  test('unclean elections', () => {
    expect(found('raw_historic', { 'unclean.leader.election.enable': 'true' })).toEqual([
      'warning unclean-election raw_historic',
    ]);
  });
});

describe('configuration', () => {
  const minute = '60000';
  const hour = '3600000';
  const day = '86400000';
  const month = '2678400000';

  test.each([
    ['raw_historic', { 'cleanup.policy': 'compact' }, ['error cleanup-policy raw_historic']],
    ['raw_historic', { 'cleanup.policy': 'compact,delete' }, ['error cleanup-policy raw_historic']],
    ['raw_errors', { 'cleanup.policy': 'compact' }, ['error cleanup-policy raw_errors']],
    [changelog, { 'cleanup.policy': 'delete' }, [`error cleanup-policy ${changelog}`]],
    [changelog, { 'cleanup.policy': 'compact,delete' }, [`error cleanup-policy ${changelog}`]],
    [changelog, { 'cleanup.policy': '' }, [`error cleanup-policy ${changelog}`]],
    ['raw_historic', { 'retention.ms': hour }, ['warning retention-short raw_historic']],
    ['raw_historic', { 'retention.ms': day }, []],
    ['raw_historic', { 'retention.ms': '-1' }, []],
    ['raw_errors', { 'retention.ms': day }, ['warning retention-short raw_errors']],
    ['raw_errors', { 'retention.ms': '604800000' }, []],
    ['raw_errors', { 'retention.ms': '-1' }, []],
    ['raw_historic', { 'retention.ms': month }, ['warning retention-short raw_errors']],
    ['raw_historic', { 'retention.bytes': '1073741824' }, ['warning retention-bytes raw_historic']],
    ['raw_historic', { 'message.timestamp.type': 'LogAppendTime' }, ['note timestamp-type raw_historic']],
    ['raw_errors', { 'message.timestamp.type': 'LogAppendTime' }, []],
    ['raw_errors', { 'max.message.bytes': '500000' }, ['error message-size raw_errors']],
    ['raw_historic', { 'max.message.bytes': '500000' }, []],
    ['raw_errors', { 'message.timestamp.before.max.ms': day }, ['error timestamp-limit raw_errors']],
    ['raw_errors', { 'message.timestamp.before.max.ms': month }, []],
    ['raw_historic', { 'message.timestamp.before.max.ms': day }, []],
    [changelog, { 'message.timestamp.before.max.ms': day }, [`error timestamp-limit ${changelog}`]],
    ['raw_errors', { 'message.timestamp.after.max.ms': minute }, ['error timestamp-limit raw_errors']],
    ['raw_errors', { 'message.timestamp.after.max.ms': hour }, []],
    ['raw_errors', { 'message.timestamp.after.max.ms': minute, 'message.timestamp.type': 'LogAppendTime' }, []],
    ['raw_historic', { 'message.timestamp.after.max.ms': minute }, []],
    [changelog, { 'message.timestamp.after.max.ms': minute }, [`error timestamp-limit ${changelog}`]],
    [changelog, { 'segment.bytes': '1073741824' }, [`note segments-large ${changelog}`]],
    [changelog, { 'segment.bytes': '1000000' }, []],
    [changelog, { 'retention.ms': hour }, []],
  ])('%s with %j', (topic, settings, expected) => {
    expect(found(topic, settings as Record<string, string>)).toEqual(expected);
  });

  test('what cannot be read is told, and the rest is looked at all the same', () => {
    const view = but(good, {
      raw_historic: there({}, { config: { kind: 'unknown', reason: 'the user may not (DescribeConfigs)' } }, 8),
    });
    expect(brief(check([historic], view))).toEqual([
      'note partitions-differ raw_historic',
      'warning config-unread raw_historic',
    ]);
  });

  test('dead letters must be kept as long as the longest of the raw topics that can fill them', () => {
    const view = but(good, { raw_lastdata: there({ 'retention.ms': month }) });
    expect(brief(check([lastdata], view))).toEqual(['warning retention-short raw_errors']);
    expect(check([historic], view)).toEqual([]);
    const [finding] = check(all, view);
    expect(finding?.message).toContain('refusals are deleted after 28 days');
    expect(finding?.fix).toEqual({ setting: 'retention.ms', value: month });
  });
});

describe('output topics', () => {
  const output = (settings: Record<string, string>, count = 4): string[] => {
    const outputs = [{ name: 'harbour', agent: historic }];
    return brief(check([historic], but(good, { harbour: there(settings, {}, count) }), { outputs }));
  };

  test.each([
    [{}, 4, []],
    [{}, 2, ['note partitions-differ harbour']],
    [{ 'cleanup.policy': 'compact' }, 4, ['error cleanup-policy harbour']],
    [{ 'retention.ms': '86400000' }, 4, ['warning retention-short harbour']],
    [{ 'retention.ms': '-1' }, 4, []],
    [{ 'max.message.bytes': '1000' }, 4, ['error message-size harbour']],
    [{ 'message.timestamp.before.max.ms': '86400000' }, 4, ['error timestamp-limit harbour']],
    [{ 'message.timestamp.after.max.ms': '60000' }, 4, ['error timestamp-limit harbour']],
    [{ 'min.insync.replicas': '2' }, 4, ['error min-isr-high harbour']],
  ])('with %j and %d partitions', (settings, count, expected) => {
    expect(output(settings, count)).toEqual(expected);
  });

  test('that went away meanwhile, or cannot be seen, say nothing', () => {
    const outputs = [{ name: 'harbour', agent: historic }];
    expect(check([historic], good, { outputs })).toEqual([]);
    expect(check([historic], but(good, { harbour: { kind: 'hidden' } }), { outputs })).toEqual([]);
  });
});

test.each([
  [86_400_000, '1 day'],
  [7 * 86_400_000, '7 days'],
  [36 * 3_600_000, '36 hours'],
  [90_000, '90 seconds'],
  [1500, '1500 ms'],
  [0, '0 ms'],
])('%d ms are %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});

const anySettings = fc.record(
  {
    'cleanup.policy': fc.constantFrom('delete', 'compact', 'compact,delete', ''),
    'retention.ms': fc.constantFrom('-1', '0', '1000', '86400000', '604800000', '2678400000', '31536000000'),
    'retention.bytes': fc.constantFrom('-1', '0', '1000000'),
    'segment.bytes': fc.constantFrom('1000000', '104857600', '1073741824'),
    'min.insync.replicas': fc.constantFrom('1', '2', '3', '4'),
    'max.message.bytes': fc.constantFrom('1000', '1048588', '100000000'),
    'message.timestamp.type': fc.constantFrom('CreateTime', 'LogAppendTime'),
    'message.timestamp.before.max.ms': fc.constantFrom('0', '86400000', '9223372036854775807'),
    'message.timestamp.after.max.ms': fc.constantFrom('0', '60000', '3600000', '9223372036854775807'),
    'unclean.leader.election.enable': fc.constantFrom('true', 'false'),
  },
  { requiredKeys: [] },
);
const anyTopic = fc
  .tuple(anySettings, fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 5 }))
  .map(([settings, count, replicas]) => there(settings, {}, count, replicas));

describe('always', () => {
  const anyCluster = fc
    .tuple(...planTopics(all, cluster({})).map(({ name }) => anyTopic.map((topic) => [name, topic] as const)))
    .chain((topics) => fc.subarray(topics))
    .map((topics) => cluster(Object.fromEntries(topics), { brokers: 5, defaultReplication: 3 }));

  test('what --update-config sets is enough: none of these findings comes again, and no worse one', () => {
    fc.assert(
      fc.property(anyCluster, (before) => {
        // A longer retention asks for more of what follows it: four rounds, as `apply` has.
        const settled = [1, 2, 3, 4].reduce((view) => repaired(view, check(all, view)), before);
        const left = check(all, settled);
        expect(left.filter(({ fix }) => fix !== undefined)).toEqual([]);
        const first = new Set(brief(check(all, before)));
        expect(brief(left).filter((finding) => !first.has(finding))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test('each finding says what and what to do, and the worst come first', () => {
    fc.assert(
      fc.property(anyCluster, (view) => {
        const findings = sortedFindings(check(all, view, { replicas: 7 }), ({ topic }) => topic);
        for (const { message, advice } of findings) {
          expect(message).not.toMatch(/undefined|NaN|Infinity|null/);
          expect(advice).not.toBe('');
        }
        const order = findings.map(({ level }) => findingLevels.indexOf(level));
        expect(order).toEqual([...order].sort());
        expect(hasNoErrors(findings)).toBe(!order.includes(0));
      }),
    );
  });
});

/** The cluster after `apply --update-config`. */
function repaired(view: ClusterView, findings: readonly TopicFinding[]): ClusterView {
  let after = view;
  for (const { topic, fix } of findings) {
    const found = after.topics.get(topic);
    if (fix === undefined || found?.kind !== 'there' || found.config.kind !== 'known') continue;
    const values = new Map([...found.config.values, [fix.setting, fix.value]]);
    after = but(after, { [topic]: { ...found, config: { kind: 'known', values } } });
  }
  return after;
}
