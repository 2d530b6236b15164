import { MemoryRoom, type Room } from './memory-room.ts';
import { add } from './tally.ts';

/** Memory of which no holder has more than may be taken at once, so that there is some for others. */
export class MemoryQuotas {
  readonly #room: MemoryRoom;
  /** How many bytes count with each holder. */
  readonly #counts = new Map<string, number>();

  constructor(bytesMax: number) {
    this.#room = new MemoryRoom(bytesMax);
  }

  /** Whether so much was free for the holder, and is taken now; it counts with nobody until `count` says so. */
  take(bytes: number, holder: string): boolean {
    return bytes <= this.#freeOf(holder) && this.#room.take(bytes);
  }

  give(bytes: number): void {
    this.#room.give(bytes);
  }

  count(bytes: number, holder: string): void {
    add(this.#counts, holder, bytes);
  }

  /** The room as one holder has it: all that is taken counts with them. */
  of(holder: string): Room {
    const freeOf = (): number => this.#freeOf(holder);
    return {
      get free() {
        return freeOf();
      },
      take: (bytes) => {
        const isTaken = this.take(bytes, holder);
        if (isTaken) this.count(bytes, holder);
        return isTaken;
      },
      give: (bytes) => {
        this.give(bytes);
        this.count(-bytes, holder);
      },
    };
  }

  #freeOf(holder: string): number {
    return Math.min(this.#room.free, this.#room.onceMax - (this.#counts.get(holder) ?? 0));
  }
}

/** What holders have in common: it counts with each of them, and once among all. It is given back with the last of them. */
export class CommonShare {
  readonly #quotas: MemoryQuotas;
  /** How often each holder has it. */
  readonly #holders = new Map<string, number>();
  #bytes = 0;
  #isOver = false;

  constructor(quotas: MemoryQuotas) {
    this.#quotas = quotas;
  }

  /** Never refused: what is there takes no more for another. */
  join(holder: string): void {
    if (add(this.#holders, holder, 1) === 1) this.#quotas.count(this.#bytes, holder);
  }

  leave(holder: string): void {
    if (add(this.#holders, holder, -1) > 0) return;
    this.#quotas.count(-this.#bytes, holder);
    if (this.#holders.size > 0) return;
    this.#quotas.give(this.#bytes);
    // What was still under way has no use for it.
    this.#isOver = true;
  }

  /** Takes more, where so much is free for the holder who wants it. */
  take(bytes: number, wanting: string): boolean {
    if (this.#isOver || !this.#quotas.take(bytes, wanting)) return false;
    this.#bytes += bytes;
    for (const holder of this.#holders.keys()) this.#quotas.count(bytes, holder);
    return true;
  }
}
