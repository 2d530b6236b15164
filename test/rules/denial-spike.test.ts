import { expect, test } from 'vitest';
import type { DatasetId } from '../../protocol/ids.ts';
import { resolveLimits } from '../../protocol/limits.ts';
import { countingDenials, Denials } from '../../server/services/access/denials.ts';
import { permissionDenialSpike } from '../../server/services/alerts/rules.ts';

const ADDRESS = '203.0.113.9';
const ASKED = { actor: 'alice', operation: 'document.connect', versionId: null, requestId: 'r', address: ADDRESS, detail: {} };
const datasetId = (id: number): DatasetId => id as DatasetId;

/** What is done about so many refusals of these at one address, where '' is whoever had no accepted token. */
function spikeOf(refused: Readonly<Record<string, number>>, changed: Parameters<typeof resolveLimits>[0] = {}) {
  const limits = resolveLimits({ alertDenialsPerMinute: 1_000, alertDenialsPerCallerPerMinute: 10, ...changed });
  const denials = new Denials({ limits, clock: { now: () => 1_000_000 } });
  for (const [actor, count] of Object.entries(refused)) for (let one = 0; one < count; one += 1) denials.note({ actor, address: ADDRESS });
  const rule = permissionDenialSpike(denials, { tightenSubject: () => undefined, tightenAddress: () => true }, limits);
  const { isOver, detail } = rule.measure();
  return { isOver, named: detail.addresses, ...(isOver === true && rule.act()) };
}

test('OPS16 one person alone is held to less, and not those who share the address', () => {
  expect(spikeOf({ mallory: 500, alice: 2, bob: 3 })).toEqual({
    isOver: true,
    named: { [ADDRESS]: 505 },
    tightenedSubjects: ['mallory'],
    tightenedAddresses: [],
  });
  expect(spikeOf({ mallory: 10, alice: 5 })).toMatchObject({ isOver: false });
});

test('OPS16 nor by the share of a spike that they made alone', () => {
  expect(spikeOf({ mallory: 11, alice: 2, bob: 1 }, { alertDenialsPerMinute: 10 })).toMatchObject({
    isOver: true,
    tightenedSubjects: ['mallory'],
    tightenedAddresses: [],
  });
  // A fifth of what is left is not the fifth of a spike.
  expect(spikeOf({ mallory: 80, o1: 1, o2: 1, o3: 1, o4: 1, o5: 1, o6: 1 }, { alertDenialsPerMinute: 10 })).toMatchObject({ tightenedAddresses: [] });
  expect(spikeOf({ mallory: 30, m1: 5, m2: 5, m3: 5 }, { alertDenialsPerMinute: 10 })).toMatchObject({ tightenedAddresses: [ADDRESS] });
});

test('OPS16 an address with refused tokens, or with many persons of whom none is over the threshold, is held to less', () => {
  const caught = { isOver: true, tightenedSubjects: [], tightenedAddresses: [ADDRESS] };
  expect(spikeOf({ '': 11 })).toMatchObject(caught);
  expect(spikeOf({ '': 11, mallory: 9 })).toMatchObject(caught);
  expect(spikeOf({ m1: 6, m2: 6, m3: 6 })).toMatchObject(caught);
  expect(spikeOf(Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`m${index}`, 1])))).toMatchObject(caught);
  // More persons than are told apart.
  expect(spikeOf(Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`m${index}`, 1])), { denialKeysMax: 2 })).toMatchObject(caught);
});

test('OPS8 asking for a dataset that was deleted within the last minute is no attempt at anything', () => {
  const clock = { nowMs: 1_000_000, now: () => clock.nowMs };
  const denials = new Denials({ limits: resolveLimits({ denialKeysMax: 2 }), clock });
  const trail = countingDenials({ record: () => undefined, close: async () => undefined }, denials);
  const ask = (id: number, outcome = 'not_found'): number => {
    const before = denials.count;
    trail.record({ ...ASKED, datasetId: datasetId(id), outcome }, true);
    return denials.count - before;
  };
  denials.notice({ kind: 'events', datasetId: datasetId(1), sequence: 1, grantsChanged: true, versionsChanged: true, isDeleted: true });
  denials.notice({ kind: 'events', datasetId: datasetId(2), sequence: 1, grantsChanged: true, versionsChanged: true, isDeleted: false });
  expect([ask(1), ask(2), ask(1, 'forbidden')]).toEqual([0, 1, 1]);
  clock.nowMs += 60_001;
  expect(ask(1)).toBe(1);
  for (const id of [3, 4, 5]) denials.pardon(datasetId(id));
  expect([3, 4, 5].map((id) => ask(id))).toEqual([1, 0, 0]);
});
