/** The program of pure.ts: prints its result as JSON. */
import { agent } from '@kafnus/historic';
import type { InputRecord, StateReader } from '@kafnus/agent-runtime';
import { parseNotification, partitionHash, readEntity, recordWriter, type Entity } from '@kafnus/ngsi-core';
import { setFlagsFromString } from 'node:v8';
import { notification, rawHeaders, servicePath, tenantName, typicalLoad } from '../notification.js';
import { median, rounded } from '../statistics.js';
import { decisionStep, parsedDecisionStep, yardstickStep, type PureFigures, type PureResult } from './pure.js';

const sizes = [5, 20, 100];
/** Different records in turn: one alone would sit in the caches of the processor and of V8. */
const variety = 256;
const warmUpMs = 400;
const blocks = 15;
const blockMs = 40;

const collect = globalThis.gc;
if (collect === undefined) throw new Error('run with --expose-gc');
setFlagsFromString('--no-memory-reducer');

/** Keeps results alive, so that nothing is optimised away. */
let sink: unknown;

/** @param work does it once, with the record at the place */
function measure(step: string, attributes: number, inputBytes: number, work: (place: number) => unknown): PureFigures {
  const run = (times: number): void => {
    for (let time = 0; time < times; time++) sink = work(time % variety);
  };
  const until = performance.now() + warmUpMs;
  let warmUps = 0;
  while (performance.now() < until) {
    run(variety);
    warmUps += variety;
  }
  const times = Math.max(variety, Math.round((warmUps * blockMs) / warmUpMs));
  const nanoseconds: number[] = [];
  for (let block = 0; block < blocks; block++) {
    const since = performance.now();
    run(times);
    nanoseconds.push(((performance.now() - since) * 1e6) / times);
  }
  // Few enough that they fit into the young generation: a collection in between would hide what was
  // allocated.
  const allocated: number[] = [];
  for (let block = 0; block < blocks; block++) {
    collect?.();
    const before = bytesInUse();
    run(variety);
    allocated.push((bytesInUse() - before) / variety);
  }
  return {
    step,
    attributes,
    inputBytes,
    nanoseconds: rounded(median(nanoseconds), 3),
    nanosecondsAtBest: rounded(Math.min(...nanoseconds), 3),
    allocatedBytes: Math.max(0, rounded(median(allocated), 3)),
  };
}

function bytesInUse(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** The agent's own settings at their defaults, as the runtime would hand them over. */
function defaults(): Parameters<typeof agent.configure>[0] {
  const values = Object.entries(agent.settings).map(([name, setting]) => [name, setting.default]);
  return Object.fromEntries(values) as Parameters<typeof agent.configure>[0];
}

const deciders = { [decisionStep]: agent.configure(defaults()), [parsedDecisionStep]: agent.configure(defaults()) };
const writer = recordWriter('kafnus');
const noState: StateReader = { get: () => undefined };
const figures: PureFigures[] = [];

for (const attributes of sizes) {
  const values = Array.from({ length: variety }, (_, place) =>
    Buffer.from(notification(place, { ...typicalLoad, attributes })),
  );
  const bytes = Math.round(values.reduce((sum, value) => sum + value.length, 0) / variety);
  const at = <T>(list: readonly T[], place: number): T => {
    const found = list[place];
    if (found === undefined) throw new RangeError(`no record ${place}`);
    return found;
  };
  const parse = (value: Buffer): Entity => {
    const parsed = parseNotification(value);
    const entity = parsed.kind === 'notification' ? readEntity(parsed.data[0]) : parsed;
    if (entity.kind === 'refused') throw new Error(entity.refusal.message);
    return entity;
  };
  const entities = values.map(parse);
  const records = values.map((value, place): InputRecord => ({
    topic: 'raw_historic',
    partition: 0,
    offset: place,
    timestamp: 1_750_000_000_000 + place,
    key: Buffer.from(at(entities, place).id),
    value,
    // As the client delivers them.
    headers: rawHeaders(tenantName(0), `${place}`).map((header) =>
      Object.fromEntries(Object.entries(header).map(([name, text]) => [name, Buffer.from(text)])),
    ),
  }));
  const add = (step: string, work: (place: number) => unknown): void => {
    figures.push(measure(step, attributes, bytes, work));
  };
  add('parse', (place) => parse(at(values, place)));
  add('transform and serialise', (place) => {
    const entity = at(entities, place);
    const { timeInstant } = entity;
    const instant = timeInstant.kind === 'text' ? timeInstant.text : undefined;
    writer.key(entity, instant);
    // What is concatenated is put together only when bytes are wanted, as the producer wants them.
    return Buffer.from(writer.row(entity, instant, servicePath, '2025-01-01T00:00:00.000Z').value);
  });
  add('partition', (place) => partitionHash(at(entities, place).id));
  add(yardstickStep, (place) => Buffer.from(JSON.stringify(JSON.parse(at(values, place).toString()))));
  const addDecision = (name: keyof typeof deciders, inputs: readonly InputRecord[]): void => {
    add(name, (place) => {
      const step = deciders[name].decide(at(inputs, place), noState);
      if (step.kind !== 'emit') throw new Error(`a decision to ${step.kind}`);
      return step.outputs.map(({ value }) => (typeof value === 'string' ? Buffer.from(value) : value));
    });
  };
  addDecision(decisionStep, records);
  // No template takes a blank.
  const blank = Buffer.from(' ');
  addDecision(
    parsedDecisionStep,
    records.map((record) => ({ ...record, value: Buffer.concat([blank, record.value ?? blank]) })),
  );
}
if (sink === undefined) throw new Error('nothing was done');
const result: PureResult = { figures };
process.stdout.write(JSON.stringify(result));
