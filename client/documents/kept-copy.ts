import * as Y from 'yjs';
import type { DocumentOpened } from '../../protocol/documents/messages.ts';
import { CovistaError } from '../../protocol/errors.ts';
import type { DocumentKeeper, KeptDocument } from './keeper.ts';

/** Keeps one document, in order; when that fails once, it is given up, and the document goes on without. */
export class KeptCopy {
  readonly #keeper: DocumentKeeper;
  readonly #name: string;
  readonly #failed: (reason: CovistaError) => void;
  #tail: Promise<void> = Promise.resolve();
  /** Why nothing is kept any more. */
  #fault: CovistaError | undefined;
  #unsettled = false;
  /** Updates that are written together, as soon as what is being written is. */
  #updates: Uint8Array[] = [];

  constructor(keeper: DocumentKeeper, name: string, failed: (reason: CovistaError) => void) {
    this.#keeper = keeper;
    this.#name = name;
    this.#failed = failed;
  }

  async load(): Promise<KeptDocument | undefined> {
    let kept: KeptDocument | undefined;
    this.#queue(async () => {
      kept = await this.#keeper.load(this.#name);
    });
    await this.#tail;
    this.#unsettled = kept?.unsettled ?? false;
    return kept;
  }

  note(opened: DocumentOpened): void {
    this.#queue(() => this.#keeper.note(this.#name, opened));
  }

  append(update: Uint8Array, unsettled: boolean): void {
    this.#unsettled = unsettled;
    this.#updates.push(update);
    if (this.#updates.length === 1) this.#queue(() => this.#write());
  }

  settle(): void {
    if (!this.#unsettled) return;
    this.#unsettled = false;
    this.#queue(() => this.#keeper.settle(this.#name));
  }

  /** Resolves when everything so far is kept; rejects when it cannot be. */
  async whenKept(): Promise<void> {
    await this.#tail;
    if (this.#fault !== undefined) throw this.#fault;
  }

  forget(): void {
    this.#unsettled = false;
    this.#updates = [];
    this.#queue(() => this.#keeper.forget(this.#name));
  }

  #write(): Promise<void> {
    const [first, ...rest] = this.#updates;
    this.#updates = [];
    if (first === undefined) return Promise.resolve();
    return this.#keeper.append(this.#name, rest.length === 0 ? first : Y.mergeUpdates([first, ...rest]), this.#unsettled);
  }

  #queue(work: () => Promise<void>): void {
    this.#tail = this.#tail.then(() => (this.#fault === undefined ? work() : undefined)).catch((fault: unknown) => this.#fail(fault));
  }

  #fail(fault: unknown): void {
    this.#fault = fault instanceof CovistaError ? fault : new CovistaError('unavailable', `${this.#name} cannot be kept here`, {}, fault);
    this.#updates = [];
    this.#failed(this.#fault);
  }
}
