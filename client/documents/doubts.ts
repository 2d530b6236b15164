import * as Y from 'yjs';
import type { Sending } from './settlement.ts';
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
function isPresent({ store, clientID }: Y.Doc, { fromClock, toClock }: Sending): boolean {
  const structs = store.clients.get(clientID) ?? [];
  return structs.some(({ id, length, deleted }) => !deleted && id.clock < toClock && id.clock + length > fromClock);
}

/** How much of this copy's own an edit completes; 0 of one that adds nothing. */
export function clockBehind(message: Uint8Array, { clientID }: Y.Doc): number {
  const edit = readMessage(message);
  return edit.kind === 'difference' || edit.kind === 'update' ? (Y.parseUpdateMeta(edit.update).to.get(clientID) ?? 0) : 0;
}

/** How much of this copy's own is in a state. */
export const clockIn = (stateVector: Uint8Array, { clientID }: Y.Doc): number => Y.decodeStateVector(stateVector).get(clientID) ?? 0;
