import { ViewFault } from './view-fault.ts';

export const windowTooLarge = (bytesMax: number, what = 'bytes'): ViewFault =>
  new ViewFault(`the window has more than ${bytesMax} ${what}; read fewer rows`, 'payload_too_large');

/** How much text a window may still come to. It is asked before texts are put together, so that none is made that is too long. */
export class TextRoom {
  readonly #bytesMax: number;
  #left: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#left = bytesMax;
  }

  get left(): number {
    return this.#left;
  }

  /** Refuses the window where it has more; a character is a byte at least. */
  take(chars: number): void {
    this.#left -= chars;
    if (this.#left < 0) throw windowTooLarge(this.#bytesMax);
  }

  /** The same of a text that is there, which is returned. */
  taken(text: string): string {
    this.take(text.length);
    return text;
  }
}
