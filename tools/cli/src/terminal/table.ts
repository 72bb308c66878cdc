/** Tables of text. */
import type { Style } from './style.js';
import { characters, clipped, wrapped } from './text.js';

/** A cell: its text, and how it is painted once it has its width. */
export interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** The one that gives way when the table is wider than the terminal: its text is cut, or goes on in the next line. */
  readonly shrinks?: 'cut' | 'wrap';
}

const GAP = 2;
const LEAST = 8;
const nothing: Cell = { text: '' };

/**
 * Lines of a table, its titles first; none is wider than `width`, unless the terminal is too narrow for the columns that
 * do not shrink.
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width: number,
  style: Style,
): string[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(characters(title), ...rows.map((row) => characters(row[index]?.text ?? ''))),
  );
  const total = widths.reduce((sum, each) => sum + each, GAP * (columns.length - 1));
  const shrinking = columns.findIndex(({ shrinks }) => shrinks !== undefined);
  const wanted = widths[shrinking];
  if (wanted !== undefined && total > width) widths[shrinking] = Math.max(LEAST, wanted - (total - width));

  const line = (cells: readonly Cell[]): string =>
    columns
      .map(({ align }, index) => {
        const { text, paint = (plain: string) => plain } = cells[index] ?? nothing;
        const room = widths[index] ?? 0;
        const shown = clipped(text, room);
        const padding = ' '.repeat(room - characters(shown));
        if (align === 'right') return padding + paint(shown);
        return paint(shown) + (index === columns.length - 1 ? '' : padding);
      })
      .join(' '.repeat(GAP))
      .trimEnd();

  /** The row itself, and what of its wrapping cell did not fit on the first line. */
  const lines = (cells: readonly Cell[]): string[] => {
    const cell = cells[shrinking];
    const room = widths[shrinking] ?? 0;
    if (columns[shrinking]?.shrinks !== 'wrap' || cell === undefined || characters(cell.text) <= room)
      return [line(cells)];
    return wrapped(cell.text, room).map((text, index) =>
      line(
        columns.map((_, place) =>
          place === shrinking ? { ...cell, text } : index === 0 ? (cells[place] ?? nothing) : nothing,
        ),
      ),
    );
  };

  return [line(columns.map(({ title }) => ({ text: title, paint: style.dim }))), ...rows.flatMap(lines)];
}
