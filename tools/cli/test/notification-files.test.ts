import { describe, expect, test } from '@jest/globals';
import { readNotifications, type FileEntry } from '../src/send/notification-files.js';
import { chunks } from './io.js';

const notification = (id: string): string => JSON.stringify({ subscriptionId: 's', data: [{ id, type: 'T' }] });
const sent = (id: string): FileEntry => ({ kind: 'notification', key: id, value: notification(id) });
const problem = (message: string): FileEntry => ({ kind: 'problem', message });

async function read(...pieces: (string | Buffer)[]): Promise<FileEntry[]> {
  const entries: FileEntry[] = [];
  for await (const entry of readNotifications('f', chunks(...pieces))) entries.push(entry);
  return entries;
}

describe('readNotifications', () => {
  test('reads one document over several lines, its text unchanged', async () => {
    const text = '{\n  "data": [ {"id": "a", "n": 1.00} ]\n}';
    expect(await read(text)).toEqual([{ kind: 'notification', key: 'a', value: text }]);
  });

  test('reads an array of notifications, on one line or many', async () => {
    expect(await read(`[${notification('a')},${notification('b')}]`)).toEqual([sent('a'), sent('b')]);
    expect(await read(`[\n${notification('a')},\n${notification('b')}\n]\n`)).toEqual([sent('a'), sent('b')]);
  });

  test('reads lines, whatever the pieces, line ends and empty lines', async () => {
    const text = Buffer.from(`\ufeff${notification('ñandú')}\r\n\n${notification('b')}\n  \n${notification('c')}`);
    for (const size of [1, 7, text.length]) {
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, n) =>
        text.subarray(n * size, (n + 1) * size),
      );
      expect(await read(...pieces)).toEqual([sent('ñandú'), sent('b'), sent('c')]);
    }
  });

  test('yields a line before the next one is there: a pipe may never end', async () => {
    const entries = readNotifications(
      'f',
      (async function* () {
        yield Buffer.from(`${notification('a')}\n`);
        await new Promise(() => undefined);
      })(),
    );
    expect((await entries.next()).value).toEqual(sent('a'));
  });

  test('goes on behind a bad line, also when it is the first', async () => {
    const lines = ['{"data": [}', notification('b'), '{"data": 3}', notification('d')].join('\n');
    expect(await read(lines)).toEqual([
      problem(`f:1: not JSON at column 11, near {"data": [}`),
      sent('b'),
      problem('f:3: not a notification: it has no array "data"'),
      sent('d'),
    ]);
  });

  test('tells line and column of what breaks a document, blank lines counted', async () => {
    expect(await read('{\n\n  "data": [\n    {"id": x}\n  ]\n}')).toEqual([
      problem(`f:4:12: not JSON, near    {"id": x}\\n  ]\\n}\\n`),
    ]);
  });

  test.each([
    ['', 'f: the file is empty'],
    ['\n \n', 'f: the file is empty'],
    ['[]', 'f:1: an empty array has no notifications'],
    ['{"id":"a","type":"T"}', 'f:1: an entity, not a notification: write {"data": [<entity>]}'],
    ['{"data":[]}', 'f:1: a notification without entities: "data" is empty'],
    ['{"data":[{"id":"a"},{"type":"T"}]}', 'f:1: data[1] has no string "id": {"type":"T"}'],
    ['{"data":[null]}', 'f:1: data[0] has no string "id": null'],
    ['[7]', 'f:1[0]: not a notification but 7'],
    ['"text"', 'f: not a notification but "text"'],
  ])('refuses %j', async (text, message) => {
    expect(await read(text)).toEqual([problem(message)]);
  });

  test('refuses what is not UTF-8', async () => {
    expect(await read(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]))).toEqual([problem('f: not UTF-8 text')]);
  });

  test('does not let a value move the cursor', async () => {
    const [entry] = await read('{"data":[{"id":7,"x":"\u009b2J"}]}');
    expect(entry).toEqual(problem('f:1: data[0] has no string "id": {"id":7,"x":"\\u009b2J"}'));
  });
});
