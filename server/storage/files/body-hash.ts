import { createHash } from 'node:crypto';
import type { BackgroundSha256, Sha256Thread } from '../../workers/sha256.client.ts';

/** Hashing this much takes less than telling another thread to. */
const SMALL_BYTES = 64 * 1024;

/** SHA-256 of a body: of a small one at once, of a larger one in a thread that is not in the way of others. */
export class BodyHash {
  readonly #thread: Sha256Thread;
  #small: Uint8Array | undefined;
  #background: BackgroundSha256 | undefined;

  constructor(thread: Sha256Thread) {
    this.#thread = thread;
  }

  /** Resolves when the bytes may change again. One call at a time. */
  async update(bytes: Uint8Array): Promise<void> {
    if (this.#background === undefined && this.#small === undefined && bytes.length <= SMALL_BYTES) {
      this.#small = bytes.slice();
      return;
    }
    if (this.#background === undefined) {
      this.#background = this.#thread.create();
      if (this.#small !== undefined) await this.#background.update(this.#small);
    }
    await this.#background.update(bytes);
  }

  /** In hexadecimal. */
  async digest(): Promise<string> {
    if (this.#background !== undefined) return this.#background.digest();
    return createHash('sha256')
      .update(this.#small ?? new Uint8Array())
      .digest('hex');
  }

  /** Instead of `digest`. */
  abandon(): void {
    this.#background?.abandon();
  }
}
