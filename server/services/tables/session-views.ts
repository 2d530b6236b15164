import type { Limits } from '../../../protocol/limits.ts';
import type { GivenConfig } from './given-config.ts';
import { RequestFault } from './request-fault.ts';

/** A view that a session made. */
export interface SessionView {
  /** As the session calls it. */
  readonly clientId: string;
  /** As the engine calls it: no name that a client chose ever reaches an engine. */
  readonly engineId: string;
  readonly given: GivenConfig;
  /** Rows and columns, while they are known; expanding and collapsing changes them. */
  size: { readonly rows: number; readonly columns: number } | undefined;
  /** How often expanding or collapsing was asked for or done: a size that was asked for before is no longer its size. */
  resizes: number;
  /** `msg_id` of all who listen to it. */
  readonly callbacks: Set<number>;
  /** Of these, those who want to know that it was deleted. */
  readonly onDelete: Set<number>;
}

const CLIENT_ID_CHARS_MAX = 200;

let views = 0;

/** The views of one session under the names that it gave them. */
export class SessionViews {
  readonly #byClientId = new Map<string, SessionView>();
  readonly #viewsMax: number;

  constructor(limits: Pick<Limits, 'sessionViewsMax'>) {
    this.#viewsMax = limits.sessionViewsMax;
  }

  add(clientId: string, given: GivenConfig): SessionView {
    if (clientId === '' || clientId.length > CLIENT_ID_CHARS_MAX) throw new RequestFault(`a view id has 1 to ${CLIENT_ID_CHARS_MAX} characters`);
    if (this.#byClientId.has(clientId)) throw new RequestFault(`there is a view ${JSON.stringify(clientId)} already`);
    if (this.#byClientId.size >= this.#viewsMax) throw new RequestFault(`a session has at most ${this.#viewsMax} views; delete some`);
    views += 1;
    const view: SessionView = {
      clientId,
      engineId: `view-${views}`,
      given,
      size: undefined,
      resizes: 0,
      callbacks: new Set(),
      onDelete: new Set(),
    };
    this.#byClientId.set(clientId, view);
    return view;
  }

  get(clientId: string): SessionView | undefined {
    return this.#byClientId.get(clientId);
  }

  delete(view: SessionView): void {
    if (this.#byClientId.get(view.clientId) === view) this.#byClientId.delete(view.clientId);
  }

  clear(): void {
    this.#byClientId.clear();
  }
}
