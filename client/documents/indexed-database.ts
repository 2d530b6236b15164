import { CovistaError } from '../../protocol/errors.ts';

/** The two stores of kept documents: what is known of each, and its updates in order. */
export interface Stores {
  readonly documents: IDBObjectStore;
  readonly updates: IDBObjectStore;
}

/** The result of a request; awaited within its transaction, the transaction goes on. */
export function answered<Result>(request: IDBRequest<Result>): Promise<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
  return promise;
}

export async function openDatabase(name: string): Promise<IDBDatabase> {
  try {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('documents', { keyPath: 'name' });
      request.result.createObjectStore('updates', { autoIncrement: true }).createIndex('name', 'name');
    };
    return await answered(request);
  } catch (cause) {
    throw new CovistaError('unavailable', 'documents cannot be kept here: there is no IndexedDB, or this page may not use it', {}, cause);
  }
}

/** Carries out work in one transaction, which is undone when the work fails. */
export async function inTransaction<Result>(database: IDBDatabase, work: (stores: Stores) => Promise<Result>): Promise<Result> {
  const transaction = database.transaction(['documents', 'updates'], 'readwrite');
  let end: 'complete' | 'abort' | undefined;
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  transaction.oncomplete = transaction.onabort = ({ type }) => {
    end = type === 'complete' ? 'complete' : 'abort';
    resolve();
  };
  const stores = { documents: transaction.objectStore('documents'), updates: transaction.objectStore('updates') };
  const [outcome] = await Promise.allSettled([
    work(stores).catch((fault: unknown) => {
      if (end === undefined) transaction.abort();
      throw fault;
    }),
    ended,
  ]);
  // A full disk may show as the reason of the whole transaction.
  if (transaction.error !== null) throw told(transaction.error);
  if (outcome.status === 'rejected') throw told(outcome.reason);
  // A browser that closes the database may give no reason for what it undoes.
  if (end === 'abort') throw brokenOff();
  return outcome.value;
}

export const brokenOff = (): CovistaError => new CovistaError('unavailable', 'the browser has closed the database in which documents are kept');

function told(fault: unknown): unknown {
  if (!(fault instanceof DOMException) || fault.name !== 'QuotaExceededError') return fault;
  return new CovistaError('storage_full', 'the browser has no room left for what this page keeps', {}, fault);
}
