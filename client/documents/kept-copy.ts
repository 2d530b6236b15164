import type { DocumentOpened } from '../../protocol/documents/messages.ts';
import { CovistaError } from '../../protocol/errors.ts';
import type { DocumentKeeper, KeptDocument } from './keeper.ts';
import { inOrder } from './keeping-order.ts';
import { portions } from './portions.ts';

/** Keeps one document, in order; when that fails once, it is given up, and the document goes on without. */
export class KeptCopy {
  readonly #keeper: DocumentKeeper;
  readonly #name: string;
  readonly #failed: (reason: CovistaError) => void;
  /** The last step of this copy. */
  #tail: Promise<void> = Promise.resolve();
  /** Why nothing is kept any more. */
  #fault: CovistaError | undefined;
  #unsettled = false;
  /** Updates that one write, which is queued, takes together; what comes behind another queued step is of a batch of its own. */
  #batch: Uint8Array[] = [];

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
    if (this.#fault !== undefined) return;
    this.#unsettled = unsettled;
    const batch = this.#batch;
    batch.push(update);
    if (batch.length === 1) this.#queue(() => this.#write(batch));
  }

  settle(): void {
    if (!this.#unsettled) return;
    this.#unsettled = false;
    this.#batch = [];
    this.#queue(() => this.#keeper.settle(this.#name));
  }

  /** Resolves when everything so far is kept; rejects when it cannot be. */
  async whenKept(): Promise<void> {
    await this.#tail;
    if (this.#fault !== undefined) throw this.#fault;
  }

  forget(): void {
    this.#unsettled = false;
    // Nothing of these is to be written, where their write has not begun.
    this.#batch.length = 0;
    this.#batch = [];
    // Also once keeping has failed: what was kept before that is still there.
    this.#inOrder(() => this.#keeper.forget(this.#name));
  }

  /** What is joined here is sent as one edit by another page, which a message has to have room for. */
  async #write(batch: Uint8Array[]): Promise<void> {
    if (batch === this.#batch) this.#batch = [];
    for (const update of portions(batch)) await this.#keeper.append(this.#name, update, this.#unsettled);
  }

  #queue(work: () => Promise<void>): void {
    this.#inOrder(async () => {
      if (this.#fault === undefined) await work();
    });
  }

  #inOrder(work: () => Promise<void>): void {
    this.#tail = inOrder(this.#keeper, this.#name, async () => {
      try {
        await work();
      } catch (fault) {
        this.#fail(fault);
      }
    });
  }

  #fail(fault: unknown): void {
    // A keeper that is over for good says the same again, which was told.
    if (fault === this.#fault) return;
    this.#fault = fault instanceof CovistaError ? fault : new CovistaError('unavailable', `${this.#name} cannot be kept here`, {}, fault);
    this.#batch = [];
    this.#failed(this.#fault);
  }
}
