import { expect, onTestFinished, test, vi } from 'vitest';
import type { DocumentKeeper } from '../../client/documents/keeper.ts';
import { KeptCopy } from '../../client/documents/kept-copy.ts';
import { keepDocuments } from '../../client/index.ts';
import type { DocumentOpened } from '../../protocol/documents/messages.ts';
import type { CovistaError } from '../../protocol/errors.ts';

const NAME = 'dataset/7';
const OPENED: DocumentOpened = { documentId: 'first', subject: 'alice', canWrite: true };

type End = 'onclose' | 'onversionchange';

interface Ending {
  readonly keeper: DocumentKeeper;
  readonly end: (how: End) => void;
}

/** The keeper of a browser whose database undoes every transaction without a reason until it ends. */
async function keeperOf(): Promise<Ending> {
  const database: Partial<Record<End, () => void>> & Record<string, unknown> = { close: () => undefined, transaction: brokenOff };
  vi.stubGlobal('indexedDB', { open: () => answer(database), deleteDatabase: () => answer(undefined) });
  onTestFinished(() => {
    vi.unstubAllGlobals();
  });
  return { keeper: await keepDocuments({ subject: 'alice' }), end: (how) => database[how]?.() };
}

function answer(result: unknown) {
  const request = { result, onsuccess: () => undefined };
  queueMicrotask(() => request.onsuccess());
  return request;
}

function brokenOff() {
  const store = { get: () => answer(undefined), getAll: () => answer([]), put: () => undefined };
  const transaction = { error: null, onabort: (_event: { readonly type: string }) => undefined, objectStore: () => store };
  setImmediate(() => transaction.onabort({ type: 'abort' }));
  return transaction;
}

const everything = (keeper: DocumentKeeper): (() => Promise<unknown>)[] => [
  () => keeper.load(NAME),
  () => keeper.note(NAME, OPENED),
  () => keeper.append(NAME, new Uint8Array([0, 0]), true),
  () => keeper.settle(NAME),
  () => keeper.forget(NAME),
];

test('LIVE16 a database that the browser closes keeps nothing, and says so', async () => {
  const { keeper, end } = await keeperOf();
  end('onclose');
  for (const ask of everything(keeper)) await expect(ask()).rejects.toMatchObject({ code: 'unavailable' });
});

test('LIVE16 what the browser undoes without a reason is not taken for kept', async () => {
  const { keeper } = await keeperOf();
  await expect(keeper.note(NAME, OPENED)).rejects.toMatchObject({ code: 'unavailable' });
});

test('LIVE16 the copy of a document tells once of a database that the browser closes', async () => {
  const { keeper, end } = await keeperOf();
  const told: CovistaError[] = [];
  const kept = new KeptCopy(keeper, NAME, (reason) => told.push(reason));
  end('onclose');
  kept.append(new Uint8Array([0, 0]), true);
  await expect(kept.whenKept()).rejects.toMatchObject({ code: 'unavailable' });
  kept.append(new Uint8Array([0, 0]), true);
  kept.forget();
  await expect(kept.whenKept()).rejects.toMatchObject({ code: 'unavailable' });
  expect(told).toMatchObject([{ code: 'unavailable' }]);
});

test.each<[string, (of: Ending) => Promise<void>]>([
  ['here', ({ keeper }) => keeper.erase()],
  ['by another page', async ({ end }) => end('onversionchange')],
])('LIVE17 a database that is erased %s is left quietly', async (_, erase) => {
  const ending = await keeperOf();
  await erase(ending);
  ending.end('onclose');
  for (const ask of everything(ending.keeper)) await expect(ask()).resolves.toBeUndefined();
});
