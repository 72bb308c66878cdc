/** Formats tables. */
import type { Style } from './style.js';
import { characters, clipped, wrapped } from './text.js';

/** `paint` is applied after the text has been cut to its width. */
export interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /**
   * The column that shrinks when the table is too wide: its text is cut, or wrapped to the next
   * line.
   */
  readonly shrinks?: 'cut' | 'wrap';
}

const columnGap = 2;
const minWidth = 8;
const nothing: Cell = { text: '' };

/**
 * The lines of the table, with the titles first. They are at most `width` wide, unless the columns
 * that do not shrink need more.
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
  const total = widths.reduce((sum, each) => sum + each, columnGap * (columns.length - 1));
  const shrinking = columns.findIndex(({ shrinks }) => shrinks !== undefined);
  const wanted = widths[shrinking];
  if (wanted !== undefined && total > width) widths[shrinking] = Math.max(minWidth, wanted - (total - width));

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
      .join(' '.repeat(columnGap))
      .trimEnd();

  /** The lines of a row: more than one when a cell is wrapped. */
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
