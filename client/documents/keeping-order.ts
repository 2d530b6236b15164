import type { DocumentKeeper } from './keeper.ts';

/** The last step of each document that is under way, by what keeps it. */
const tails = new WeakMap<DocumentKeeper, Map<string, Promise<void>>>();

/**
 * Takes a step with what is kept of a document behind those before it, whichever session asked for them: a document that is opened again takes
 * up all that was to be kept when it was closed. The step must not reject.
 */
export function inOrder(keeper: DocumentKeeper, name: string, step: () => Promise<void>): Promise<void> {
  const names = tails.get(keeper) ?? new Map<string, Promise<void>>();
  tails.set(keeper, names);
  const tail = (names.get(name) ?? Promise.resolve()).then(step).finally(() => {
    if (names.get(name) === tail) names.delete(name);
  });
  names.set(name, tail);
  return tail;
}
