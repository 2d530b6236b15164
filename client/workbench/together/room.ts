import {
  type AnnotationEntry,
  type Annotations,
  CovistaError,
  type LiveDocument,
  type PresentClient,
  type SavedViewEntry,
  type SavedViews,
} from '../../index.ts';
import type { App } from '../app/app.ts';
import { messageOf } from '../ui/resource.ts';
import { Signal } from '../ui/signal.ts';
import { toast } from '../ui/toast.ts';

type Presence = Parameters<LiveDocument['presence']['set']>[0];

interface RoomParts extends Omit<RoomOptions, 'app'> {
  readonly document: LiveDocument;
  /** The document of the person alone. */
  readonly own: LiveDocument;
}

/** What the people of a dataset share live: who is here, saved views, notes. */
export class Room {
  readonly views = new Signal<readonly SavedViewEntry[]>([]);
  readonly notes = new Signal<readonly AnnotationEntry[]>([]);
  readonly people = new Signal<readonly PresentClient[]>([]);
  readonly canUndo = new Signal(false);
  readonly document: LiveDocument;
  readonly annotations: Annotations;
  readonly #own: LiveDocument;
  readonly #sharedViews: SavedViews;
  readonly #ownViews: SavedViews;

  constructor({ document, own, datasetId, life, closed }: RoomParts) {
    this.document = document;
    this.annotations = document.annotations;
    this.#own = own;
    this.#sharedViews = document.savedViews();
    this.#ownViews = own.savedViews(datasetId);
    const listed = (): void => this.views.set([...this.#sharedViews.list(), ...this.#ownViews.list()]);
    const noted = (): void => this.notes.set(this.annotations.list());
    const changed = (): void => this.canUndo.set(document.canUndo);
    const present = (people: readonly PresentClient[]): void => this.people.set(people);
    const stops = [
      this.#sharedViews.observe(listed),
      this.#ownViews.observe(listed),
      this.annotations.observe(noted),
      this.#sharedViews.observe(changed),
      this.annotations.observe(changed),
      // Who may only read from now on takes nothing back.
      document.onState(changed),
      document.presence.observe(present),
      document.onError(refused),
      own.onError(refused),
      document.onState(({ kind }) => kind === 'closed' && !life.aborted && closed()),
    ];
    listed();
    noted();
    present(document.presence.list());
    life.addEventListener(
      'abort',
      () => {
        for (const stop of stops) stop();
        document.close();
        own.close();
      },
      { once: true },
    );
  }

  get canWrite(): boolean {
    return this.document.canWrite;
  }

  get subject(): string {
    return this.document.subject;
  }

  /** Where a view is kept. */
  keeping({ scope }: Pick<SavedViewEntry, 'scope'>): SavedViews {
    return scope === 'shared' ? this.#sharedViews : this.#ownViews;
  }

  /** Resolves once the server keeps the change, in the document that the view is in; rejects with CovistaError when it will not. */
  async update({ id, scope }: Pick<SavedViewEntry, 'id' | 'scope'>, changes: Parameters<SavedViews['update']>[1]): Promise<void> {
    this.keeping({ scope }).update(id, changes);
    await (scope === 'shared' ? this.document : this.#own).whenDurable();
  }

  show(presence: Presence): void {
    if (this.document.state.kind === 'closed') return;
    try {
      this.document.presence.set(presence);
    } catch (error) {
      if (!(error instanceof CovistaError) || presence.viewConfig === undefined) throw error;
      // A view that is too large to be told cannot be followed; who is here and where is told all the same.
      this.document.presence.set({ ...presence, viewConfig: null });
    }
  }

  undo(): void {
    this.document.undo();
    this.canUndo.set(this.document.canUndo);
  }
}

export interface RoomOptions {
  readonly app: App;
  readonly datasetId: number;
  readonly life: AbortSignal;
  /** The server has closed the document, as when what one may see changes. */
  readonly closed: () => void;
}

/** Resolves once both documents are in step with the server. */
export async function openRoom({ app, datasetId, life, closed }: RoomOptions): Promise<Room> {
  const [document, own] = await Promise.all([app.client.document.open(`dataset/${datasetId}`), app.client.document.open(`user/${app.subject}`)]);
  await Promise.all([document.whenSynced(), own.whenSynced()]);
  const room = new Room({ document, own, datasetId, life, closed });
  if (life.aborted) {
    document.close();
    own.close();
  }
  return room;
}

const refused = (error: CovistaError): void => toast(`Taken back: ${messageOf(error)}`, 'failed');
