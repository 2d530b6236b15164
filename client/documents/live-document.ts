import type { Awareness } from 'y-protocols/awareness';
import type * as Y from 'yjs';
import { type DocumentSubject, parseDocumentName } from '../../protocol/documents/name.ts';
import { CovistaError } from '../../protocol/errors.ts';
import type { DatasetId } from '../../protocol/ids.ts';
import { Annotations } from './annotations.ts';
import type { DocumentState } from './document-state.ts';
import { Preferences } from './preferences.ts';
import { Presences } from './presence.ts';
import { SavedViews } from './saved-views.ts';
import type { DocumentSession } from './session.ts';
import { canTakeStep, takeStep } from './undo.ts';

/**
 * A live document: a Yjs document that is kept in step with everyone else's. Whoever opens a document twice gets two of
 * these on one copy; it is left when the last is closed.
 */
export class LiveDocument {
  readonly #session: DocumentSession;
  readonly #release: () => void;
  readonly #subject: DocumentSubject;

  constructor(session: DocumentSession, release: () => void) {
    this.#session = session;
    this.#release = release;
    const subject = parseDocumentName(session.name);
    if (subject === undefined) throw new CovistaError('invalid_input', `${session.name} is no name of a document`);
    this.#subject = subject;
  }

  get name(): string {
    return this.#session.name;
  }

  /** The document itself; another one after `onReplaced`. */
  get doc(): Y.Doc {
    return this.#session.replica.doc;
  }

  /** Who else is here; another one after `onReplaced`. */
  get awareness(): Awareness {
    return this.#session.replica.awareness;
  }

  get state(): DocumentState {
    return this.#session.state;
  }

  /** Whose token it was opened with. */
  get subject(): string {
    return opened(this.#session).subject;
  }

  get canWrite(): boolean {
    return opened(this.#session).canWrite;
  }

  /** Resolves when the document is in step with the server; rejects with CovistaError when it is closed before. */
  readonly whenSynced = (): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const check = (state: DocumentState): void => {
      if (state.kind === 'synced') resolve();
      if (state.kind === 'closed') reject(state.reason);
    };
    const stop = this.#session.onState.add(check);
    check(this.state);
    return promise.finally(stop);
  };

  /** Resolves when the server keeps every edit that was made here so far; rejects with CovistaError when it refuses one of them. */
  readonly whenDurable = (): Promise<void> => this.#session.whenDurable();

  /** Resolves when every change so far is kept here, at once without a `keeper`; rejects with CovistaError when it cannot be. */
  readonly whenKept = (): Promise<void> => this.#session.whenKept();

  /** Each of these tells until the function that it returns is called. */
  onState(listener: (state: DocumentState) => void): () => void {
    return this.#session.onState.add(listener);
  }

  /** Edits that were refused (`details.rule` and `details.path` say why), a copy that was given up or cannot be kept here. */
  onError(listener: (error: CovistaError) => void): () => void {
    return this.#session.onError.add(listener);
  }

  /** The copy was given up, with the edits that the server did not have: bind to the new `doc` and `awareness`. */
  onReplaced(listener: () => void): () => void {
    return this.#session.onReplaced.add(listener);
  }

  /** The views that are saved in this document; in the document of a person, those of one dataset. */
  savedViews(datasetId?: number): SavedViews {
    if (this.#subject.kind === 'user' && datasetId === undefined)
      throw new CovistaError('invalid_input', 'the document of a person holds views of many datasets: say of which');
    const own = this.#subject.kind === 'user' ? (datasetId as DatasetId) : undefined;
    return new SavedViews(this.#session, own, this.#release);
  }

  get annotations(): Annotations {
    if (this.#subject.kind !== 'dataset') throw new CovistaError('invalid_input', `${this.name} has no annotations; documents of datasets do`);
    return new Annotations(this.#session);
  }

  get preferences(): Preferences {
    if (this.#subject.kind !== 'user') throw new CovistaError('invalid_input', `${this.name} has no preferences; documents of persons do`);
    return new Preferences(this.#session);
  }

  get presence(): Presences {
    return new Presences(this.#session);
  }

  /**
   * Takes back the last step of this client; what others did stays. Answers whether that came about: not where there is none, nor where
   * others changed what it rests on, which is told by `onError` as `conflict`. Throws CovistaError where nothing can be changed: `forbidden`, or why it is closed.
   */
  undo(): boolean {
    return takeStep(this.#session, 'undo');
  }

  /** Does again what was taken back last; answers and throws as `undo` does. */
  redo(): boolean {
    return takeStep(this.#session, 'redo');
  }

  /** Whether there is a step to take back, and one may. */
  get canUndo(): boolean {
    return canTakeStep(this.#session, 'undo');
  }

  get canRedo(): boolean {
    return canTakeStep(this.#session, 'redo');
  }

  close(): void {
    this.#release();
  }
}

function opened({ opened, name }: DocumentSession): NonNullable<DocumentSession['opened']> {
  if (opened === undefined) throw new CovistaError('unavailable', `${name} was not opened yet`);
  return opened;
}
