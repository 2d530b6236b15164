export type Numbers =
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** A typed array that grows, and keeps its size for the next batch. */
export class Growing<T extends Numbers> {
  readonly #create: (length: number) => T;
  #items: T;
  length = 0;

  constructor(create: (length: number) => T) {
    this.#create = create;
    this.#items = create(1024);
  }

  get bytes(): number {
    return this.length * this.#items.BYTES_PER_ELEMENT;
  }

  push(value: T[number]): void {
    if (this.length === this.#items.length) this.reserve(1);
    this.#items[this.length] = value;
    this.length += 1;
  }

  /** Whether values are of the kind that this one has, so that they can be added whole. */
  isLike(values: unknown): values is T {
    return ArrayBuffer.isView(values) && values.constructor === this.#items.constructor;
  }

  pushAll(values: T): void {
    this.reserve(values.length).set(values as never, this.length);
    this.length += values.length;
  }

  /** Makes room for `count` more, and returns the array. */
  reserve(count: number): T {
    if (this.length + count > this.#items.length) {
      const larger = this.#create(Math.max(this.length + count, this.#items.length * 2));
      larger.set(this.#items as never);
      this.#items = larger;
    }
    return this.#items;
  }

  take(): T {
    const taken = this.#items.slice(0, this.length) as T;
    this.length = 0;
    return taken;
  }
}

/** One bit a value, least significant first. */
export class Bits {
  readonly #bytes = new Growing((length) => new Uint8Array(length));
  length = 0;
  unset = 0;

  push(isSet: boolean): void {
    const bit = this.length & 7;
    if (bit === 0) this.#bytes.push(0);
    const bytes = this.#bytes.reserve(0);
    if (isSet) bytes[this.#bytes.length - 1] = (bytes[this.#bytes.length - 1] ?? 0) | (1 << bit);
    else this.unset += 1;
    this.length += 1;
  }

  take(): { bits: Uint8Array; length: number; unset: number } {
    const taken = { bits: this.#bytes.take(), length: this.length, unset: this.unset };
    this.length = 0;
    this.unset = 0;
    return taken;
  }
}
