import { throwIfAborted } from '../../shared/abort.ts';
import { Turns } from '../../shared/turns.ts';

export interface WantedNames {
  readonly names: Iterable<string>;
  /** Whether a name counts, if it is there. */
  readonly counts: (name: string) => boolean;
  readonly signal: AbortSignal;
}

/**
 * The first of some names that a text has as a word of its own, in any case of letters. Texts and names may be many, so that others
 * have their turn meanwhile.
 */
export async function firstNameIn(texts: readonly string[], { names, counts, signal }: WantedNames): Promise<string | undefined> {
  const turns = new Turns();
  const pause = async (): Promise<void> => {
    if (!turns.over) return;
    await turns.next();
    throwIfAborted(signal);
  };
  const searched = texts.map((text) => text.normalize());
  const words = new Set<string>();
  for (const text of searched) {
    await pause();
    for (const word of wordsOf(text)) words.add(word);
  }
  for (const name of names) {
    await pause();
    const wanted = name.normalize();
    // Looking the words of a name up first spares most of the searches, each of which reads every text.
    if (wordsOf(wanted).every((word) => words.has(word)) && counts(name) && (await isIn(searched, wanted, pause))) return name;
  }
  return undefined;
}

async function isIn(texts: readonly string[], name: string, pause: () => Promise<void>): Promise<boolean> {
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}_])${escaped}(?![\\p{L}\\p{N}_])`, 'iu');
  for (const text of texts) {
    await pause();
    if (pattern.test(text)) return true;
  }
  return false;
}

/** In one case for all letters that a pattern takes for the same. */
const wordsOf = (text: string): string[] =>
  text
    .toLowerCase()
    .toUpperCase()
    .match(/[\p{L}\p{N}_]+/gu) ?? [];
