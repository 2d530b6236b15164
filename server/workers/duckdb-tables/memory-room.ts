/** Nothing takes more than this share of a room at once, so that there is some for several. */
const SHARE_MAX = 1 / 4;

export type Room = Pick<MemoryRoom, 'free' | 'take' | 'give'>;

/** Memory that many take from, and that has an end. */
export class MemoryRoom {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get free(): number {
    return this.#bytesMax - this.#bytes;
  }

  /** The most that is taken at once. */
  get onceMax(): number {
    return this.#bytesMax * SHARE_MAX;
  }

  /** Whether so much was free, and is taken now. */
  take(bytes: number): boolean {
    if (bytes > Math.min(this.free, this.onceMax)) return false;
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** What one has of a room. Whatever becomes of who has it, all of it is given back at once. */
export class MemoryShare {
  readonly #room: Room;
  #bytes = 0;
  #isOver = false;

  constructor(room: Room) {
    this.#room = room;
  }

  get free(): number {
    return this.#room.free;
  }

  take(bytes: number): boolean {
    if (this.#isOver || !this.#room.take(bytes)) return false;
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#room.give(bytes);
    this.#bytes -= bytes;
  }

  /** Takes or gives back what is between this and what it has; false, and no change, where that much is not free. */
  resize(bytes: number): boolean {
    if (bytes > this.#bytes) return this.take(bytes - this.#bytes);
    this.give(this.#bytes - bytes);
    return true;
  }

  /** Gives all of it back, and takes no more: what was still under way has no use for it. */
  end(): void {
    this.give(this.#bytes);
    this.#isOver = true;
  }
}
