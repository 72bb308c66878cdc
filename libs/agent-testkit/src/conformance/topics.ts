/** Topics: lookup and creation. */
import { eventually, type Suite } from './scene.js';

export function topicCases({ scene, expect }: Suite): void {
  scene('is created as it is said, and then found', async (stage) => {
    await stage.input(1);
    const { session } = await stage.member('a');
    expect(await session.partitionCount(stage.target)).toBeNull();
    expect((await session.ensureTopic(stage.target, null)).kind).toBe('missing');
    const spec = { partitions: 3, replicationFactor: -1, config: { 'retention.ms': '12345678' } };
    await eventually(async () =>
      expect(await session.ensureTopic(stage.target, spec)).toMatchObject({ kind: 'writable', partitions: 3 }),
    );
    const state = await session.ensureTopic(stage.target, null);
    expect(state.kind === 'writable' ? state.inSync : 0).toBeGreaterThan(0);
    expect(await session.partitionCount(stage.target)).toBe(3);
    // An existing topic does not change.
    expect(await session.ensureTopic(stage.target, { ...spec, partitions: 5 })).toMatchObject({
      kind: 'writable',
      partitions: 3,
    });
    expect(await session.partitionCount(stage.in)).toBe(1);
  });

  scene('of an illegal name is unwritable', async (stage) => {
    await stage.input(1);
    const { session } = await stage.member('a');
    const spec = { partitions: 1, replicationFactor: -1, config: {} };
    for (const name of ['no spaces', 'ca\u00f1\u00f3n', 'x'.repeat(250), '..']) {
      expect((await session.ensureTopic(name, spec)).kind).toBe('unwritable');
    }
  });
}
