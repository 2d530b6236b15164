import { expect, test } from 'vitest';
import { closeReason } from '../../server/socket/close-reason.ts';

test('a reason is as long as a close frame has room for, in whole characters', () => {
  expect(closeReason('the reader fell too far behind')).toBe('the reader fell too far behind');
  expect(closeReason('x'.repeat(123))).toBe('x'.repeat(123));
  expect(closeReason('x'.repeat(124))).toBe(`${'x'.repeat(120)}…`);
  for (const [character, more] of [
    ['é', 1],
    ['€', 2],
    ['😀', 3],
  ] as const) {
    const cut = closeReason(`${'x'.repeat(117 + more)}${character.repeat(100)}`);
    expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(123);
    expect(cut).toMatch(new RegExp(`^x+${character}*…$`, 'u'));
  }
});
