import { expect, test } from 'vitest';
import { Settlement } from '../../client/documents/settlement.ts';
import { CovistaError } from '../../protocol/errors.ts';

async function stateOf(promise: Promise<void>): Promise<string> {
  return Promise.race([
    promise.then(() => 'settled').catch((reason: CovistaError) => reason.code),
    new Promise<string>((resolve) => setImmediate(resolve, 'open')),
  ]);
}

test('LIVE3 the acknowledgement of a message settles every edit that it carries, and no later one', async () => {
  const settlement = new Settlement();
  await settlement.whenSettled();
  settlement.edited();
  settlement.edited();
  const first = settlement.whenSettled();
  settlement.sent([]);
  settlement.edited();
  const second = settlement.whenSettled();
  settlement.sent([]);
  settlement.settle(1);
  expect([await stateOf(first), await stateOf(second), settlement.isOpen]).toEqual(['settled', 'open', true]);
  settlement.settle(1);
  settlement.settle(2);
  expect([await stateOf(second), settlement.isOpen]).toEqual(['settled', false]);
});

test('LIVE3 a new channel counts from the beginning', async () => {
  const settlement = new Settlement();
  settlement.edited();
  settlement.sent([]);
  settlement.settle(1);
  settlement.edited();
  settlement.sent([]);
  const waiting = settlement.whenSettled();
  settlement.interrupted();
  settlement.settle(1);
  expect(await stateOf(waiting)).toBe('open');
  settlement.sent([]);
  settlement.settle(1);
  expect(await stateOf(waiting)).toBe('settled');
});

test('LIVE4 who waits for a refused edit learns of it, who waits for an earlier one does not', async () => {
  const settlement = new Settlement();
  settlement.edited();
  const earlier = settlement.whenSettled();
  settlement.sent([]);
  settlement.edited();
  const refused = settlement.whenSettled();
  settlement.sent([]);
  settlement.refuse(2, new CovistaError('invalid_input', 'no'));
  settlement.settle(2);
  expect([await stateOf(earlier), await stateOf(refused), settlement.isOpen]).toEqual(['settled', 'invalid_input', false]);
});
