/** A value that tells who is interested when it changes. */
export interface Readable<Value> {
  readonly value: Value;
  /** Calls the listener with the value now and after every change, until the life ends. */
  watch(life: AbortSignal, listener: (value: Value) => void): void;
}

export class Signal<Value> implements Readable<Value> {
  #value: Value;
  readonly #listeners = new Set<(value: Value) => void>();

  constructor(value: Value) {
    this.#value = value;
  }

  get value(): Value {
    return this.#value;
  }

  set(value: Value): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) if (this.#listeners.has(listener)) listener(value);
  }

  watch(life: AbortSignal, listener: (value: Value) => void): void {
    if (life.aborted) return;
    this.#listeners.add(listener);
    life.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
    listener(this.#value);
  }
}

/** A value that follows another one. */
export function derive<From, To>(life: AbortSignal, source: Readable<From>, change: (value: From) => To): Readable<To> {
  const derived = new Signal(change(source.value));
  source.watch(life, (value) => derived.set(change(value)));
  return derived;
}

/** Runs for every value but the one that is there now. */
export function whenChanged<Value>(life: AbortSignal, source: Readable<Value>, run: (value: Value) => void): void {
  let isFirst = true;
  source.watch(life, (value) => {
    if (!isFirst) run(value);
    isFirst = false;
  });
}

/** A life within a life: it ends with the outer one, or before it. */
export function shorterLife(outer: AbortSignal): AbortController {
  const inner = new AbortController();
  if (outer.aborted) inner.abort();
  else outer.addEventListener('abort', () => inner.abort(), { once: true, signal: inner.signal });
  return inner;
}
