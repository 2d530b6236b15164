import type { DocumentOpened } from '../../protocol/documents/messages.ts';
import { CovistaError } from '../../protocol/errors.ts';
import type { DocumentKeeper, KeptDocument } from './keeper.ts';

/** Keeps one document, in order; when that fails once, it is given up, and the document goes on without. */
export class KeptCopy {
  readonly #keeper: DocumentKeeper;
  readonly #name: string;
  readonly #failed: (reason: CovistaError) => void;
  #tail: Promise<void> = Promise.resolve();
  #isOff = false;
  #unsettled = false;

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
    this.#queue(() => this.#keeper.append(this.#name, update));
    this.settle(unsettled);
  }

  settle(unsettled: boolean): void {
    if (this.#unsettled === unsettled) return;
    this.#unsettled = unsettled;
    this.#queue(() => this.#keeper.settle(this.#name, unsettled));
  }

  forget(): void {
    this.#unsettled = false;
    this.#queue(() => this.#keeper.forget(this.#name));
  }

  #queue(work: () => Promise<void>): void {
    this.#tail = this.#tail.then(() => (this.#isOff ? undefined : work())).catch((fault: unknown) => this.#fail(fault));
  }

  #fail(fault: unknown): void {
    this.#isOff = true;
    const reason = fault instanceof CovistaError ? fault : new CovistaError('unavailable', `${this.#name} cannot be kept here`, {}, fault);
    this.#failed(reason);
  }
}
