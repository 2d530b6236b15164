/** Functions of ExprTK that put a text in the place of what a pattern finds, the text being their third value. */
export const REPLACING: readonly string[] = ['replace', 'replace_all'];

/**
 * How many times as long as its first value what such a function gives may be: it may find something at every character, and
 * a reference in the text stands for all that was found.
 */
export function growthOf(name: string, replacement: string): number {
  return 1 + (name === 'replace_all' ? replacement.length : (replacement.match(/\\/g)?.length ?? 0));
}
