import * as Y from 'yjs';
import type { Limits } from '../../../protocol/limits.ts';
import type { CacheCounts } from '../../shared/cache-counts.ts';
import { step1Message, step2Message } from './messages.ts';

/**
 * What is said to those who open a document, made once for all who open it in one state: after a restart they come by the hundred,
 * with the same copy.
 */
export class SyncMessages {
  readonly #doc: Y.Doc;
  readonly #keptBytesMax: number;
  readonly #counts: CacheCounts;
  #ask: Uint8Array | undefined;
  /** The last one, and the state vector of the copies that it is for. */
  #difference: { readonly stateVector: Uint8Array; readonly message: Uint8Array } | undefined;

  constructor(doc: Y.Doc, { documentKeptSyncBytesMax }: Pick<Limits, 'documentKeptSyncBytesMax'>, counts: CacheCounts) {
    this.#counts = counts;
    this.#doc = doc;
    this.#keptBytesMax = documentKeptSyncBytesMax;
    doc.on('update', () => {
      this.#ask = undefined;
      this.#difference = undefined;
    });
  }

  /** Asks what the server lacks. */
  ask(): Uint8Array {
    this.#ask ??= step1Message(Y.encodeStateVector(this.#doc));
    return this.#ask;
  }

  /** What a copy lacks. Throws for a state vector that is none. */
  difference(stateVector: Uint8Array): Uint8Array {
    const kept = this.#difference;
    const isKept = kept !== undefined && Buffer.compare(kept.stateVector, stateVector) === 0;
    this.#counts.count(isKept);
    if (isKept) return kept.message;
    const message = step2Message(Y.encodeStateAsUpdate(this.#doc, stateVector));
    if (message.length <= this.#keptBytesMax) this.#difference = { stateVector: stateVector.slice(), message };
    return message;
  }
}
