/** @throws Error naming the option when the text is no whole number greater than 0 */
export function positiveInteger(option: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new Error(`${option} must be a whole number greater than 0, not '${text}'`);
}
