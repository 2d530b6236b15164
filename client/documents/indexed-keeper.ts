import type { DocumentOpened } from '../../protocol/documents/messages.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { randomKey } from '../values.ts';
import { answered, brokenOff, inTransaction, openDatabase, type Stores } from './indexed-database.ts';
import type { KeeperOptions } from './keep.ts';
import type { DocumentKeeper, KeptDocument } from './keeper.ts';
import { portions } from './portions.ts';

interface KeptRecord {
  readonly name: string;
  readonly opened: DocumentOpened;
  /** How many updates of each page may hold edits that the server lacks; a page answers for its own, and for those that it took up. */
  readonly unsettled: Readonly<Record<string, number>>;
  readonly bytes: number;
  /** How many updates were added since they were joined. */
  readonly updates: number;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
}

interface KeptUpdate {
  readonly name: string;
  readonly update: Uint8Array;
}

const BYTES_MAX = 64 * 1024 * 1024;
const DOCUMENTS_MAX = 200;
/** So many updates of a document are joined to fewer. */
const UPDATES_MAX = 200;

/** Keeps documents in the IndexedDB of a browser. */
export async function openKeeper(options: KeeperOptions): Promise<DocumentKeeper> {
  const { subject, place = '', bytesMax = BYTES_MAX, documentsMax = DOCUMENTS_MAX } = options;
  const name = `covista-documents ${encodeURIComponent(place)} ${encodeURIComponent(subject)}`;
  return new IndexedKeeper({ name, database: await openDatabase(name), bytesMax, documentsMax });
}

interface IndexedOptions {
  readonly name: string;
  readonly database: IDBDatabase;
  readonly bytesMax: number;
  readonly documentsMax: number;
}

class IndexedKeeper implements DocumentKeeper {
  readonly #options: IndexedOptions;
  readonly #page = randomKey();
  /** What was unsettled of the documents that were taken up. */
  readonly #takenUp = new Map<string, KeptRecord['unsettled']>();
  /** Erased, here or by another page: nothing is to be kept any more. */
  #isOver = false;
  /** Closed by the browser, as when the data of the site are cleared: nothing can be kept any more, which whoever asks for it learns. */
  #fault: CovistaError | undefined;

  constructor(options: IndexedOptions) {
    this.#options = options;
    options.database.onversionchange = () => this.#end();
    options.database.onclose = () => {
      this.#fault = brokenOff();
    };
  }

  load(name: string): Promise<KeptDocument | undefined> {
    return this.#change(undefined, async (stores) => {
      const record = await recordOf(stores, name);
      if (record === undefined) return undefined;
      const updates = await updatesOf(stores, name);
      stores.documents.put({ ...record, usedAt: Date.now() });
      this.#takenUp.set(name, record.unsettled);
      return { opened: record.opened, unsettled: isUnsettled(record), updates };
    });
  }

  note(name: string, opened: DocumentOpened): Promise<void> {
    return this.#change(undefined, async (stores) => {
      const before = await recordOf(stores, name);
      const isSame = before?.opened.documentId === opened.documentId && before.opened.subject === opened.subject;
      if (before !== undefined && !isSame) await removeUpdates(stores, name);
      const kept = before !== undefined && isSame ? before : { name, unsettled: {}, bytes: 0, updates: 0 };
      stores.documents.put({ ...kept, opened, usedAt: Date.now() });
      await this.#makeRoom(stores, name);
    });
  }

  /** What was forgotten is not begun anew by an update, which would be a part without the rest. */
  append(name: string, update: Uint8Array, isOpen: boolean): Promise<void> {
    return this.#change(undefined, async (stores) => {
      const record = await recordOf(stores, name);
      if (record === undefined) return;
      stores.updates.add({ name, update });
      const unsettled = isOpen ? { ...record.unsettled, [this.#page]: (record.unsettled[this.#page] ?? 0) + 1 } : this.#ofOthers(record);
      const next = { ...record, unsettled, bytes: record.bytes + update.length, updates: record.updates + 1, usedAt: Date.now() };
      stores.documents.put(next.updates > UPDATES_MAX ? await join(stores, next) : next);
      await this.#makeRoom(stores, name);
    });
  }

  settle(name: string): Promise<void> {
    return this.#change(undefined, async (stores) => {
      const record = await recordOf(stores, name);
      if (record !== undefined) stores.documents.put({ ...record, unsettled: this.#ofOthers(record) });
    });
  }

  forget(name: string): Promise<void> {
    return this.#change(undefined, async (stores) => remove(stores, name));
  }

  async erase(): Promise<void> {
    this.#end();
    await answered(indexedDB.deleteDatabase(this.#options.name));
  }

  /** What stays unsettled when this page is: what other pages added since it took the document up. */
  #ofOthers({ name, unsettled }: KeptRecord): KeptRecord['unsettled'] {
    const taken = this.#takenUp.get(name) ?? {};
    return Object.fromEntries(Object.entries(unsettled).filter(([page, count]) => page !== this.#page && taken[page] !== count));
  }

  #end(): void {
    this.#isOver = true;
    this.#options.database.close();
  }

  /** Least recently used documents go, but none with edits that the server lacks. */
  async #makeRoom(stores: Stores, name: string): Promise<void> {
    const { bytesMax, documentsMax } = this.#options;
    const records: KeptRecord[] = await answered(stores.documents.getAll());
    let bytes = records.reduce((sum, record) => sum + record.bytes, 0);
    let count = records.length;
    const spare = records.filter((record) => record.name !== name && !isUnsettled(record)).sort((one, other) => one.usedAt - other.usedAt);
    for (const record of spare) {
      if (bytes <= bytesMax && count <= documentsMax) return;
      await remove(stores, record.name);
      bytes -= record.bytes;
      count -= 1;
    }
    if (bytes > bytesMax || count > documentsMax)
      throw new CovistaError('storage_full', `there is no room to keep ${name} here`, { name, bytes, bytesMax, documents: count, documentsMax });
  }

  async #change<Result>(whenOver: Result, work: (stores: Stores) => Promise<Result>): Promise<Result> {
    if (this.#isOver) return whenOver;
    if (this.#fault !== undefined) throw this.#fault;
    return inTransaction(this.#options.database, work);
  }
}

const isUnsettled = ({ unsettled }: KeptRecord): boolean => Object.keys(unsettled).length > 0;

const recordOf = ({ documents }: Stores, name: string): Promise<KeptRecord | undefined> => answered(documents.get(name));

async function updatesOf({ updates }: Stores, name: string): Promise<Uint8Array[]> {
  const kept: KeptUpdate[] = await answered(updates.index('name').getAll(name));
  return kept.map(({ update }) => update);
}

/** Each is still sent as one edit, which a message has to have room for. */
async function join(stores: Stores, record: KeptRecord): Promise<KeptRecord> {
  const { name } = record;
  const updates = portions(await updatesOf(stores, name));
  await removeUpdates(stores, name);
  for (const update of updates) stores.updates.add({ name, update });
  return { ...record, bytes: updates.reduce((sum, { length }) => sum + length, 0), updates: 0 };
}

function remove(stores: Stores, name: string): Promise<void> {
  stores.documents.delete(name);
  return removeUpdates(stores, name);
}

async function removeUpdates({ updates }: Stores, name: string): Promise<void> {
  const keys = await answered(updates.index('name').getAllKeys(name));
  for (const key of keys) updates.delete(key);
}
