import { expect, test } from '@jest/globals';
import { nextStep } from '../src/next-step.js';

test.each([
  ['No Kafka answers at localhost:1: broker transport failure', /--brokers/],
  ['No Kafka answers at b:9093: SASL authentication error: Authentication failed', /password/],
  ['cannot start transactions: Failed: Broker: Transactional Id authorization failed', /transactional id/],
  ['the offsets of the group g: Broker: Group authorization failed', /Read on the consumer group/],
  ['Broker: Topic authorization failed', /grant the missing right/],
  [
    'no connection to the database city on db:5432 as sink: password authentication failed for user "sink"',
    /PGPASSWORD/,
  ],
  ['no connection to the database city on db:5432 as sink: connect ECONNREFUSED', /PostgreSQL listens/],
  ['Local: Timed out', /run the same command again/],
])('%j tells what to do', (message, step) => {
  expect(nextStep(message)).toMatch(step);
});

test('what says it by itself is left alone', () => {
  expect(nextStep('the topic x does not exist: create it')).toBeUndefined();
});
