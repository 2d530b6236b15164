import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { KeptCopy } from '../../client/documents/kept-copy.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { MemoryKeeper } from '../support/memory-keeper.ts';

const NAME = 'dataset/7';
const opened = (documentId: string) => ({ documentId, subject: 'alice', canWrite: true });
const [first, second, third] = ['first', 'second', 'third'].map((words) => {
  const doc = new Y.Doc();
  doc.getText('note').insert(0, words);
  return Y.encodeStateAsUpdate(doc);
}) as [Uint8Array, Uint8Array, Uint8Array];

class SlowKeeper extends MemoryKeeper {
  readonly appended: Uint8Array[] = [];

  override async append(name: string, update: Uint8Array, unsettled: boolean): Promise<void> {
    this.appended.push(update);
    await setTimeout(5);
    await super.append(name, update, unsettled);
  }
}

const fail = (fault: Error): never => {
  throw fault;
};

/** A copy whose first update is being written. */
async function writing() {
  const keeper = new SlowKeeper();
  const copy = new KeptCopy(keeper, NAME, fail);
  copy.note(opened('first'));
  copy.append(first, true);
  await expect.poll(() => keeper.appended.length, { interval: 1 }).toBe(1);
  return { keeper, copy };
}

test('LIVE17 what comes right after a copy is forgotten is of the next one, and nothing of before is', async () => {
  const { keeper, copy } = await writing();
  copy.append(second, true);
  copy.forget();
  copy.note(opened('second'));
  copy.append(third, true);
  await copy.whenKept();
  expect(keeper.kept.get(NAME)).toEqual({ opened: opened('second'), unsettled: true, updates: [third] });
  expect(keeper.appended).toEqual([first, third]);
});

test('LIVE16 an edit right after the server has everything is kept as one that it lacks', async () => {
  const { keeper, copy } = await writing();
  copy.append(second, true);
  copy.settle();
  copy.append(third, true);
  await copy.whenKept();
  expect(keeper.kept.get(NAME)).toEqual({ opened: opened('first'), unsettled: true, updates: [first, second, third] });
});

test('LIVE16 updates that come while one is written are written together', async () => {
  const { keeper, copy } = await writing();
  copy.append(second, true);
  copy.append(third, true);
  await copy.whenKept();
  expect(keeper.kept.get(NAME)?.updates).toEqual([first, Y.mergeUpdates([second, third])]);
});

test('LIVE15 updates that are written together are joined to no more than a message takes', async () => {
  const { keeper, copy } = await writing();
  const doc = new Y.Doc();
  doc.on('update', (update: Uint8Array) => copy.append(update, true));
  for (const name of ['one', 'two', 'three']) doc.getMap('notes').set(name, name.repeat(100_000));
  await copy.whenKept();
  const { updates = [] } = keeper.kept.get(NAME) ?? {};
  expect(updates.map(({ length }) => length > 400_000 && length <= defaultLimits.documentUpdateBytesMax)).toEqual([false, true, true]);
  const again = new Y.Doc();
  for (const update of updates.slice(1)) Y.applyUpdate(again, update);
  expect(again.getMap('notes').toJSON()).toEqual(doc.getMap('notes').toJSON());
});
