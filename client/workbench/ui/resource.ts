import { CovistaError } from '../../index.ts';
import { type Child, html, live } from './dom.ts';
import { icon } from './icons.ts';
import { type Readable, Signal, shorterLife } from './signal.ts';

export type Loading<Value> =
  | { readonly kind: 'loading' }
  | { readonly kind: 'ready'; readonly value: Value }
  | { readonly kind: 'failed'; readonly error: unknown };

/** Something that is asked of the server and can be asked again; while it is, the last answer stays. */
export class Resource<Value> implements Readable<Loading<Value>> {
  readonly #state = new Signal<Loading<Value>>({ kind: 'loading' });
  readonly #life: AbortSignal;
  readonly #load: (signal: AbortSignal) => Promise<Value>;
  #current: AbortController | undefined;

  constructor(life: AbortSignal, load: (signal: AbortSignal) => Promise<Value>) {
    this.#life = life;
    this.#load = load;
    void this.reload();
  }

  get value(): Loading<Value> {
    return this.#state.value;
  }

  /** The last answer, if there is one. */
  get latest(): Value | undefined {
    return this.#state.value.kind === 'ready' ? this.#state.value.value : undefined;
  }

  watch(life: AbortSignal, listener: (state: Loading<Value>) => void): void {
    this.#state.watch(life, listener);
  }

  /** Asks again; an answer that is still awaited is given up. */
  async reload(): Promise<void> {
    this.#current?.abort();
    const attempt = shorterLife(this.#life);
    this.#current = attempt;
    if (this.#state.value.kind === 'failed') this.#state.set({ kind: 'loading' });
    try {
      const value = await this.#load(attempt.signal);
      if (!attempt.signal.aborted) this.#state.set({ kind: 'ready', value });
    } catch (error) {
      if (!attempt.signal.aborted) this.#state.set({ kind: 'failed', error });
    }
  }
}

/** Resolves with the first answer; with undefined when there is none, or the life ends before. */
export function answerOf<Value>(life: AbortSignal, resource: Resource<Value>): Promise<Value | undefined> {
  const { promise, resolve } = Promise.withResolvers<Value | undefined>();
  const watching = shorterLife(life);
  life.addEventListener('abort', () => resolve(undefined), { once: true, signal: watching.signal });
  resource.watch(watching.signal, (state) => {
    if (state.kind === 'loading') return;
    resolve(state.kind === 'ready' ? state.value : undefined);
  });
  return promise.finally(() => watching.abort());
}

/** What the viewer puts before the message of an error of the server. */
const VIEWER_PREFIX = /^Unknown error: (?:[a-z_]+: )?/;

/** What a person is told of an error. */
export function messageOf(error: unknown): string {
  if (error instanceof CovistaError) return sentence(error.message);
  return sentence((error instanceof Error ? error.message : String(error)).replace(VIEWER_PREFIX, ''));
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Says that something failed, why, and lets it be tried again, or something else be done. */
export function failure(error: unknown, retry?: () => void, other?: Child): HTMLElement {
  return html(
    'div',
    { class: 'failure', role: 'alert' },
    icon('warning'),
    html('p', {}, messageOf(error)),
    retry && html('button', { type: 'button', class: 'button', on: { click: retry } }, 'Try again'),
    other,
  );
}

/** Grey lines in the place of what is awaited. */
export function skeleton(lines = 5): HTMLElement {
  const bars = Array.from({ length: lines }, (_, line) => html('div', { class: 'skeleton-line', style: `width: ${92 - ((line * 17) % 40)}%` }));
  return html('div', { class: 'skeleton', role: 'status', 'aria-label': 'Loading' }, bars);
}

/** A resource as a part of the page in all its states. */
export function shown<Value>(
  life: AbortSignal,
  resource: Resource<Value>,
  draw: (value: Value, life: AbortSignal) => Child,
  loading: () => Child = skeleton,
): HTMLElement {
  return live(life, resource, (state, inner) => {
    if (state.kind === 'loading') return loading();
    return state.kind === 'failed' ? failure(state.error, () => void resource.reload()) : draw(state.value, inner);
  });
}
