import { parseDocumentName } from '../../protocol/documents/name.ts';
import { CovistaError } from '../../protocol/errors.ts';
import type { DocumentState } from './document-state.ts';
import type { DocumentKeeper } from './keeper.ts';
import { LiveDocument } from './live-document.ts';
import type { SavedViews } from './saved-views.ts';
import { DocumentSession } from './session.ts';
import type { SessionOptions } from './session-options.ts';

export interface OpenOptions {
  /** Where a copy is kept, so that the document can be used without a connection. Counts for whoever opens it first. */
  readonly keeper?: DocumentKeeper | undefined;
}

export interface SavedViewsOptions extends OpenOptions {
  readonly datasetId: number;
  readonly scope: 'shared' | 'private';
  /** Whose private views. */
  readonly subject: string;
}

interface Place {
  readonly session: DocumentSession;
  readonly ready: Promise<void>;
  holders: number;
}

type HubOptions = Pick<SessionOptions, 'connect' | 'settings'>;

/** The documents that a client has open. */
export class DocumentHub {
  readonly #options: HubOptions;
  readonly #places = new Map<string, Place>();
  readonly #keepers = new Set<DocumentKeeper>();
  #ended: CovistaError | undefined;

  constructor(options: HubOptions) {
    this.#options = options;
  }

  /** Resolves once the server has opened the document, or a kept copy is there. */
  async open(name: string, { keeper }: OpenOptions = {}): Promise<LiveDocument> {
    if (parseDocumentName(name) === undefined)
      throw new CovistaError('invalid_input', `a document is named "dataset/DATASET_ID" or "user/SUBJECT", not "${name.slice(0, 100)}"`);
    if (this.#ended !== undefined) {
      if (isRevoked(this.#ended)) await keeper?.erase();
      throw this.#ended;
    }
    const place = this.#places.get(name) ?? this.#enter(name, keeper);
    place.holders += 1;
    const release = once(() => this.#release(place));
    try {
      await place.ready;
    } catch (reason) {
      release();
      throw reason;
    }
    return new LiveDocument(place.session, release);
  }

  /** The views that a dataset's readers share, or those of one person. */
  async savedViews({ datasetId, scope, subject, keeper }: SavedViewsOptions): Promise<SavedViews> {
    const document = await this.open(scope === 'private' ? `user/${subject}` : `dataset/${datasetId}`, { keeper });
    return document.savedViews(datasetId);
  }

  /** Ends all documents for good. What is kept of them stays, unless the token was revoked. */
  close(reason: CovistaError): void {
    this.#ended = reason;
    const sessions = [...this.#places.values()].map(({ session }) => session);
    const tell = (error: CovistaError): void => {
      for (const { onError } of sessions) onError.tell(error);
    };
    for (const session of sessions) session.close(reason);
    this.#places.clear();
    if (!isRevoked(reason)) return;
    for (const keeper of this.#keepers) keeper.erase().catch((fault: unknown) => tell(notErased(fault)));
  }

  #enter(name: string, keeper: DocumentKeeper | undefined): Place {
    if (keeper !== undefined) this.#keepers.add(keeper);
    const session = new DocumentSession({ ...this.#options, name, keeper });
    const place = { session, ready: whenOpened(session), holders: 0 };
    this.#places.set(name, place);
    // A document that has ended makes room, so that it can be opened anew.
    session.onState.add((state) => {
      if (state.kind === 'closed' && this.#places.get(name) === place) this.#places.delete(name);
    });
    return place;
  }

  #release(place: Place): void {
    place.holders -= 1;
    if (place.holders > 0) return;
    if (this.#places.get(place.session.name) === place) this.#places.delete(place.session.name);
    place.session.close(new CovistaError('cancelled', `${place.session.name} was closed`));
  }
}

/** Revoked while the client had a connection, or while it had none. */
const isRevoked = ({ code, details }: CovistaError): boolean => code === 'session_revoked' || details.revoked === true;

const notErased = (fault: unknown): CovistaError => new CovistaError('unavailable', 'what was kept of documents could not be erased', {}, fault);

function whenOpened(session: DocumentSession): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const check = (state: DocumentState): void => {
    if (state.kind === 'closed') reject(state.reason);
    else if (session.opened !== undefined) resolve();
  };
  const stop = session.onState.add(check);
  session.start().then(() => check(session.state), reject);
  return promise.finally(stop);
}

function once(run: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) run();
    isDone = true;
  };
}
