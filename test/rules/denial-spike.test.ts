import { expect, test } from 'vitest';
import { resolveLimits } from '../../protocol/limits.ts';
import { Denials } from '../../server/services/access/denials.ts';
import { permissionDenialSpike } from '../../server/services/alerts/rules.ts';

const ADDRESS = '203.0.113.9';

/** What is done about so many refusals of these at one address, where '' is whoever had no accepted token. */
function spikeOf(refused: Readonly<Record<string, number>>, denialKeysMax = 1_000) {
  const limits = resolveLimits({ alertDenialsPerMinute: 1_000, alertDenialsPerCallerPerMinute: 10, denialKeysMax });
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

test('OPS16 an address with refused tokens, or with many persons of whom none is over the threshold, is held to less', () => {
  const caught = { isOver: true, tightenedSubjects: [], tightenedAddresses: [ADDRESS] };
  expect(spikeOf({ '': 11 })).toMatchObject(caught);
  expect(spikeOf({ '': 11, mallory: 9 })).toMatchObject(caught);
  expect(spikeOf({ m1: 6, m2: 6, m3: 6 })).toMatchObject(caught);
  expect(spikeOf(Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`m${index}`, 1])))).toMatchObject(caught);
  // More persons than are told apart.
  expect(spikeOf(Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`m${index}`, 1])), 2)).toMatchObject(caught);
});
