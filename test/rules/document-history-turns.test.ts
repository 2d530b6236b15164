import { expect, test } from 'vitest';
import type { CovistaError } from '../../protocol/errors.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { createHistory, type DocumentHistory, type HistoryOptions } from '../../server/services/documents/document-history.ts';
import { newGate } from '../support/gate.ts';

const LIMITS = { ...defaultLimits, documentHistoryAtOnceMax: 2, documentHistoryQueueMax: 5, documentHistoryPerSubjectMax: 4 };
const PAGE = { snapshotId: 1, map: 'views', limit: 1 };

/** A history of which every state is read only when a gate is opened. */
function slowHistory(): {
  readonly loads: { atOnceMax: number; count: number };
  readonly open: () => void;
  read(subject: string, signal?: AbortSignal): Promise<unknown>;
} {
  const gate = newGate();
  const loads = { atOnceMax: 0, count: 0 };
  let atOnce = 0;
  const store = {
    find: async () => 'a document',
    snapshotState: async () => {
      loads.count += 1;
      atOnce += 1;
      loads.atOnceMax = Math.max(loads.atOnceMax, atOnce);
      await gate.passed;
      atOnce -= 1;
      return new Uint8Array();
    },
  };
  const history: DocumentHistory = createHistory({ store, states: { page: async () => [] }, limits: LIMITS } as unknown as HistoryOptions);
  return {
    loads,
    open: gate.open,
    read: (subject, signal = new AbortController().signal) =>
      history.readSnapshot({ name: `user/${subject}`, actor: { subject } as never, access: undefined }, PAGE, signal),
  };
}

/** Why each was refused, by the limit that it names. */
async function refusals(reads: readonly Promise<unknown>[]): Promise<(string | undefined)[]> {
  const outcomes = await Promise.allSettled(reads);
  return outcomes.flatMap((outcome) => {
    if (outcome.status === 'fulfilled') return [];
    const { code, details } = outcome.reason as CovistaError;
    return code === 'rate_limited' ? Object.keys(details).filter((name) => name in LIMITS) : [code];
  });
}

test('DOC32 one person has no more than a share of the states that are read and wait', async () => {
  const { loads, open, read } = slowHistory();
  const alices = Array.from({ length: 256 }, () => read('alice'));
  const bobs = [read('bob')];
  setImmediate(open);
  expect(await refusals(alices)).toEqual(Array.from({ length: 252 }, () => 'documentHistoryPerSubjectMax'));
  expect(await refusals(bobs)).toEqual([]);
  expect(loads).toEqual({ count: 5, atOnceMax: 2 });
});

test('DOC32 a bounded number waits for those that are read at once', async () => {
  const { loads, open, read } = slowHistory();
  const reads = ['alice', 'bob', 'carol'].flatMap((subject) => Array.from({ length: 3 }, () => read(subject)));
  setImmediate(open);
  expect(await refusals(reads)).toEqual(['documentHistoryQueueMax', 'documentHistoryQueueMax']);
  expect(loads).toEqual({ count: 7, atOnceMax: 2 });
  expect(await refusals([read('alice')])).toEqual([]);
});

test('DOC32 what waits ends with its request, and its place is free again', async () => {
  const { loads, open, read } = slowHistory();
  const leaving = new AbortController();
  const begun = [read('alice'), read('alice')];
  const waiting = [read('alice', leaving.signal), read('alice', leaving.signal)];
  await new Promise((resolve) => setImmediate(resolve));
  leaving.abort();
  expect(await refusals(waiting)).toEqual(['cancelled', 'cancelled']);
  const next = read('alice');
  open();
  expect(await refusals([...begun, next])).toEqual([]);
  expect(loads.count).toBe(3);
});
