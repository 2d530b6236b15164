import { expect, test } from 'vitest';
import { CovistaError, type ErrorCode } from '../../protocol/errors.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { Compaction } from '../../server/services/documents/compaction.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { createLog } from '../../server/shared/log.ts';
import { type MemoryDocument, memoryDocument, quiet } from '../support/live-document.ts';

/** So many batches more in the log of a document. */
async function edit({ document }: MemoryDocument, batches: number): Promise<void> {
  for (let batch = 0; batch < batches; batch += 1) {
    document.change((doc) => doc.getMap('own').set('key', batch));
    await quiet();
  }
}

/** A compaction that always fails with a code, and how often it was tried. */
function failing(memory: MemoryDocument, code: ErrorCode): { readonly compaction: Compaction; readonly tried: () => number } {
  let tried = 0;
  const compact = async (): Promise<never> => {
    tried += 1;
    throw new CovistaError(code, 'it cannot be put together');
  };
  const none = async (): Promise<never> => {
    throw new Error('nothing is written');
  };
  const compaction = new Compaction({
    store: { load: async () => ({ state: null, batches: memory.batches, bindings: [], told: [] }), compact: none, addPeriodicSnapshot: none },
    states: { compact, read: none, page: none },
    limits: defaultLimits,
    clock: systemClock,
    log: createLog('silent', false),
  });
  return { compaction, tried: () => tried };
}

test('DOC23 a log of which no state can be put together is tried again when it is twice as long, and nobody waits for it', async () => {
  const memory = memoryDocument();
  const { compaction, tried } = failing(memory, 'unprocessable_data');
  await edit(memory, 3);
  for (let asked = 0; asked < 5; asked += 1) await compaction.request(memory.document);
  expect([tried(), compaction.lagMs]).toEqual([1, 0]);
  await edit(memory, 2);
  await compaction.request(memory.document);
  expect(tried()).toBe(1);
  await edit(memory, 1);
  await compaction.request(memory.document);
  expect([tried(), compaction.lagMs]).toEqual([2, 0]);
});

test('DOC23 after any other fault the next edits try again', async () => {
  const memory = memoryDocument();
  const { compaction, tried } = failing(memory, 'unavailable');
  await edit(memory, 3);
  for (let asked = 0; asked < 5; asked += 1) await compaction.request(memory.document);
  expect(tried()).toBe(5);
});
