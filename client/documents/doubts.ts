import * as Y from 'yjs';
import type { Added, Sending } from './settlement.ts';
import { readMessage } from './wire.ts';

/**
 * Messages that were under way when their channel ended: the server may have refused them, and the word of it be lost. What it
 * refuses it removes as a whole, and that shows in what comes over the next channel before the server has settled what this client
 * told it there first: in what was missing, or, where the server was still at it, as somebody's edit.
 */
export class Doubts {
  #sendings: Sending[] = [];

  add(sendings: readonly Sending[]): void {
    this.#sendings.push(...sendings);
  }

  /** What is gone from now on was removed by others. */
  clear(): void {
    this.#sendings = [];
  }

  /** Takes in what the server sent, and answers the messages of which all is gone that was there before. */
  across(doc: Y.Doc, takeIn: () => void): Sending[] {
    const present = this.#sendings.filter((sending) => isPresent(doc, sending));
    takeIn();
    const gone = new Set(present.filter((sending) => !isPresent(doc, sending)));
    this.#sendings = this.#sendings.filter((sending) => !gone.has(sending));
    return [...gone];
  }
}

/** Whether anything is left of what the message added. */
function isPresent({ store }: Y.Doc, { added }: Sending): boolean {
  return added.some(({ clientId, fromClock, toClock }) => {
    const structs = store.clients.get(clientId) ?? [];
    return structs.some(({ id, length, deleted }) => !deleted && id.clock < toClock && id.clock + length > fromClock);
  });
}

/** What a message to the server adds, also of the clients of Yjs that earlier pages were, whose edits are taken up from a kept copy. */
export function addedBy(message: Uint8Array): Added[] {
  const edit = readMessage(message);
  if (edit.kind !== 'difference' && edit.kind !== 'update') return [];
  const { from, to } = Y.parseUpdateMeta(edit.update);
  return [...from].map(([clientId, fromClock]) => ({ clientId, fromClock, toClock: to.get(clientId) ?? fromClock }));
}
