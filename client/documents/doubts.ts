import * as Y from 'yjs';
import type { Sending } from './settlement.ts';

/**
 * Messages that were under way when their channel ended: the server may have refused them, and the word of it be lost. What it
 * refuses it removes as a whole, and that shows when the next channel has brought what was missing.
 */
export class Doubts {
  #sendings: Sending[] = [];

  add(sendings: readonly Sending[]): void {
    this.#sendings.push(...sendings);
  }

  clear(): void {
    this.#sendings = [];
  }

  /** Catches up, and answers the messages of which all is gone that was there before. */
  resolve(doc: Y.Doc, catchUp: () => void): Sending[] {
    const present = this.#sendings.filter((sending) => isPresent(doc, sending));
    this.#sendings = [];
    catchUp();
    return present.filter((sending) => !isPresent(doc, sending));
  }
}

/** Whether anything is left of what the message added. */
function isPresent({ store, clientID }: Y.Doc, { fromClock, toClock }: Sending): boolean {
  const structs = store.clients.get(clientID) ?? [];
  return structs.some(({ id, length, deleted }) => !deleted && id.clock < toClock && id.clock + length > fromClock);
}

/** How much this copy has added so far. */
export const ownClock = ({ store, clientID }: Y.Doc): number => Y.getState(store, clientID);
