import { CovistaError } from './errors.ts';
import { encodeFrame, FRAME } from './frame.ts';

/** Splits an encoded frame into fragment frames of at most `fragmentBytes` each; a small one stays as it is. */
export function* splitFrame(encoded: Uint8Array, lane: number, fragmentBytes: number): Generator<Uint8Array> {
  if (encoded.length <= fragmentBytes) {
    yield encoded;
    return;
  }
  for (let at = 0; at < encoded.length; at += fragmentBytes) {
    const end = Math.min(at + fragmentBytes, encoded.length);
    yield encodeFrame([FRAME.fragment, lane, encoded.subarray(at, end), end < encoded.length]);
  }
}

/** Joins fragments back into frames, holding at most `bytesMax` over all lanes. */
export class FragmentJoiner {
  readonly #lanes = new Map<number, Uint8Array[]>();
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The whole frame once its last piece is here, undefined before; throws `payload_too_large` over the bound. */
  add(lane: number, bytes: Uint8Array, more: boolean): Uint8Array | undefined {
    const pieces = this.#lanes.get(lane) ?? [];
    this.#bytes += bytes.length;
    if (this.#bytes > this.#bytesMax) throw new CovistaError('payload_too_large', `fragments hold more than ${this.#bytesMax} bytes`);
    if (bytes.length === 0 && more) throw new CovistaError('protocol_error', 'a fragment that is not the last must carry bytes');
    pieces.push(bytes);
    if (more) {
      this.#lanes.set(lane, pieces);
      return undefined;
    }
    this.#lanes.delete(lane);
    const whole = concatenate(pieces);
    this.#bytes -= whole.length;
    return whole;
  }
}

export function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0] as Uint8Array;
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
