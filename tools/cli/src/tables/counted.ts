import { grouped } from '../terminal/text.js';

/** `1 row`, `2,000 rows` */
export function counted(count: number, what: string): string {
  return `${grouped(count)} ${what}${count === 1 ? '' : 's'}`;
}
