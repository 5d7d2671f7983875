/** The number a value stands for; undefined for text that is none, and for what is not finite. */
export function toNumber(value: string | number | boolean): number | undefined {
  if (typeof value === 'string' && !/^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(value)) {
    return undefined;
  }
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** The truth value of a word, in any case; undefined when it is none. */
export function toBoolean(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  if (['1', 'true', 'yes', 'on'].includes(word)) return true;
  if (['0', 'false', 'no', 'off'].includes(word)) return false;
  return undefined;
}
