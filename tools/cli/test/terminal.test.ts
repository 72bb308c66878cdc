import { describe, expect, test } from '@jest/globals';
import { Screen } from '../src/terminal/screen.js';
import { styleOf, wantsColours } from '../src/terminal/style.js';
import { table } from '../src/terminal/table.js';
import { clipped, grouped, printable, wrapped } from '../src/terminal/text.js';

const plain = styleOf(false);
const write = (): boolean => true;

describe('text', () => {
  test('printable leaves no control, no line break and no change of direction', () => {
    expect(printable('a\n\tb\u001b[31m\u009b\u202e\u0000ñ🌍')).toBe('a\\n\\tb\\u001b[31m\\u009b\\u202e\\u0000ñ🌍');
  });

  test('clipped marks the cut, and counts an emoji as one', () => {
    expect([clipped('abcd', 4), clipped('abcde', 4), clipped('🌍🌍🌍', 2)]).toEqual(['abcd', 'abc…', '🌍…']);
  });

  test('wrapped breaks at spaces, and a long word where it must', () => {
    expect(wrapped('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrapped('a 123456789 b', 4)).toEqual(['a', '1234', '5678', '9 b']);
  });

  test('grouped', () => {
    expect([0, 999, 1000, 1234567].map(grouped)).toEqual(['0', '999', '1,000', '1,234,567']);
  });
});

describe('styles', () => {
  test('colours are for terminals that want them', () => {
    expect(wantsColours({ write, isTTY: true }, {})).toBe(true);
    expect(wantsColours({ write, isTTY: true }, { NO_COLOR: '1' })).toBe(false);
    expect(wantsColours({ write, isTTY: true }, { TERM: 'dumb' })).toBe(false);
    expect(wantsColours({ write }, {})).toBe(false);
    expect([styleOf(true).red('x'), plain.red('x')]).toEqual(['\u001b[31mx\u001b[39m', 'x']);
  });
});

describe('table', () => {
  const columns = [{ title: 'name' }, { title: 'count', align: 'right' }, { title: 'note', shrinks: 'cut' }] as const;
  const rows = [
    [{ text: 'a' }, { text: '7' }, { text: 'short' }],
    [{ text: 'longer' }, { text: '1,234' }, { text: 'a note that is long' }],
  ];

  test('lines its columns up', () => {
    expect(table(columns, rows, 80, plain)).toEqual([
      'name    count  note',
      'a           7  short',
      'longer  1,234  a note that is long',
    ]);
  });

  test('is no wider than asked for, colours not counted', () => {
    const style = styleOf(true);
    const painted = rows.map((row) => row.map((cell) => ({ ...cell, paint: style.cyan })));
    const lines = table(columns, painted, 26, style);
    expect(lines[2]).toContain('a note tha…');

    for (const line of lines) expect(line.replace(/\u001b\[\d+m/g, '').length).toBeLessThanOrEqual(26);
  });
});

describe('a wrapping column', () => {
  test('goes on in the next line', () => {
    const columns = [{ title: 'id' }, { title: 'note', shrinks: 'wrap' }] as const;
    const lines = table(
      columns,
      [
        [{ text: '7' }, { text: 'one two three' }],
        [{ text: '8' }, { text: 'x' }],
      ],
      12,
      plain,
    );
    expect(lines).toEqual(['id  note', '7   one two', '    three', '8   x']);
  });
});

describe('Screen', () => {
  test('draws live lines again on a terminal, and keeps printed ones', () => {
    let text = '';
    const screen = new Screen({ isTTY: true, columns: 200, write: (more) => (text += more) });
    screen.draw(['one', 'two']);
    screen.print('kept');
    screen.draw([]);
    const up = '\u001b[1A\u001b[2K';
    expect(text).toBe(`one\ntwo\n${up}${up}kept\none\ntwo\n${up}${up}`);
    expect(screen.width).toBe(120);
  });

  test('prints elsewhere what is to be kept, and nothing else', () => {
    let text = '';
    const screen = new Screen({ write: (more) => (text += more) });
    screen.draw(['live']);
    screen.print('kept');
    expect(text).toBe('kept\n');
    expect(screen.width).toBe(100);
  });
});
