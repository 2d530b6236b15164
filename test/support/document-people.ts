import type { Client, CovistaError, LiveDocument } from '../../client/index.ts';
import { savedView } from './entries.ts';
import type { NetworkProxy } from './proxy.ts';
import type { Random } from './random.ts';

/** What the people of a simulation know of entries together. */
export class Ledger {
  /** Entries whose making was acknowledged. */
  readonly acknowledged = new Set<string>();
  /** Entries that somebody removed, or may have: they need not be there. */
  readonly removed = new Set<string>();
  /** Errors that no rule of the simulation explains. */
  readonly surprises: unknown[] = [];
}

interface PersonOptions {
  readonly client: Client;
  readonly document: LiveDocument;
  readonly proxy: NetworkProxy;
  readonly random: Random;
  readonly ledger: Ledger;
}

/** A client that edits at random on a network that fails at random. */
export class SimulatedPerson {
  readonly document: LiveDocument;
  readonly proxy: NetworkProxy;
  readonly #client: Client;
  readonly #random: Random;
  readonly #ledger: Ledger;
  /** What waits for an acknowledgement; none of it rejects. */
  readonly #waiting = new Set<Promise<void>>();
  /** Entries that undoing brought back. */
  readonly #returned = new Set<string>();

  constructor({ client, document, proxy, random, ledger }: PersonOptions) {
    this.#client = client;
    this.document = document;
    this.proxy = proxy;
    this.#random = random;
    this.#ledger = ledger;
    document.onError((error) => this.#explain(error));
  }

  act(): void {
    const act = this.#random.pick([
      () => this.#make(this.document.savedViews().create({ name: `view ${this.#random.below(1_000)}`, config: { columns: ['a'] } }).id),
      () => this.#make(this.document.annotations.add(`note ${this.#random.below(1_000)}`, { column: 'a' }).id),
      () => this.#onView((id) => this.document.savedViews().rename(id, `renamed ${this.#random.below(1_000)}`)),
      () => this.#onView((id) => this.document.savedViews().update(id, { config: { group_by: [`g${this.#random.below(9)}`] } })),
      () => this.#onNote((id) => this.document.annotations.edit(id, `${this.document.annotations.get(id)?.body} and ${this.#random.below(1_000)}`)),
      () => this.#onNote((id) => this.document.annotations.reply(id, `reply ${this.#random.below(1_000)}`)),
      () => this.#onNote((id) => this.document.annotations.resolve(id)),
      () => this.#remove(),
      () => this.#undo(),
      () => this.#forge(),
      () => this.document.presence.set({ selection: { row: this.#random.below(100) } }),
      () => this.#network(),
    ]);
    act();
  }

  /** Connected as long as it takes: everything made so far is known to be kept or refused. */
  async settle(): Promise<void> {
    this.proxy.resume();
    await this.document.whenSynced();
    await Promise.all(this.#waiting);
    await this.document.whenDurable().catch((error: CovistaError) => this.#explain(error));
  }

  close(): void {
    this.#client.close();
  }

  /**
   * Refused are forged entries (DOC6), of which the word may be lost (conflict), and what two did at once to one entry where one of them
   * removed it or took something back (DOC4, DOC5); steps may be given up (conflict). An entry that somebody else made is also refused
   * (DOC6) where it returns after the server was killed since its removal, which remembers it no more.
   */
  #explain(error: CovistaError): void {
    const { rule, path } = error.details;
    const [, id = '', field] = (path ?? []) as readonly string[];
    const isExplained =
      rule === 'DOC6' ? id.startsWith('forged-') || (this.#returned.has(id) && field === 'author') : rule === 'DOC4' || rule === 'DOC5';
    if (error.code !== 'conflict' && !isExplained) this.#ledger.surprises.push(error);
  }

  #make(id: string): void {
    const kept = this.document.whenDurable().then(
      () => {
        this.#ledger.acknowledged.add(id);
      },
      // Refused together with a forged entry: not acknowledged.
      () => undefined,
    );
    this.#waiting.add(kept);
  }

  #onView(change: (id: string) => void): void {
    const views = this.document.savedViews().list();
    const view = views[this.#random.below(views.length)];
    if (view !== undefined) change(view.id);
  }

  #onNote(change: (id: string) => void): void {
    const notes = this.document.annotations.list();
    const note = notes[this.#random.below(notes.length)];
    if (note !== undefined) change(note.id);
  }

  #remove(): void {
    const isView = this.#random.below(2) === 0;
    const change = (id: string): void => {
      this.#ledger.removed.add(id);
      if (isView) this.document.savedViews().remove(id);
      else this.document.annotations.remove(id);
    };
    if (isView) this.#onView(change);
    else this.#onNote(change);
  }

  /** What undoing takes away was made by this client. */
  #undo(): void {
    const ids = (): string[] => [...this.document.savedViews().list(), ...this.document.annotations.list()].map(({ id }) => id);
    const before = ids();
    if (this.#random.below(2) === 0) this.document.undo();
    else this.document.redo();
    const after = new Set(ids());
    for (const id of before) if (!after.has(id)) this.#ledger.removed.add(id);
    for (const id of after) if (!before.includes(id)) this.#returned.add(id);
  }

  #forge(): void {
    this.document.doc.getMap('views').set(`forged-${this.#random.below(1_000)}`, savedView('somebody else'));
  }

  #network(): void {
    this.#random.pick([
      () => this.proxy.cut(),
      () => this.proxy.cutAfter(this.#random.below(2_000)),
      () => this.proxy.cutAfterReceiving(this.#random.below(4_000)),
      () => this.proxy.hold(),
      () => this.proxy.resume(),
      () => this.proxy.resume(),
    ])();
  }
}
