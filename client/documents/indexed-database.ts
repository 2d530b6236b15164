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

export function openDatabase(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore('documents', { keyPath: 'name' });
    request.result.createObjectStore('updates', { autoIncrement: true }).createIndex('name', 'name');
  };
  return answered(request);
}

/** Carries out work in one transaction, which is undone when the work fails. */
export async function inTransaction<Result>(database: IDBDatabase, work: (stores: Stores) => Promise<Result>): Promise<Result> {
  const transaction = database.transaction(['documents', 'updates'], 'readwrite');
  let isOver = false;
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  transaction.oncomplete = transaction.onabort = () => {
    isOver = true;
    resolve();
  };
  const stores = { documents: transaction.objectStore('documents'), updates: transaction.objectStore('updates') };
  const [outcome] = await Promise.allSettled([
    work(stores).catch((fault: unknown) => {
      if (!isOver) transaction.abort();
      throw fault;
    }),
    ended,
  ]);
  // A full disk shows as the reason of the whole transaction.
  if (transaction.error !== null) throw transaction.error;
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}
