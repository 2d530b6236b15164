import { expect, test } from 'vitest';
import { RecentSet } from '../../server/shared/recent-set.ts';

const LETTERS = ['a', 'b', 'c', 'd'];

function shown(set: RecentSet<string>): string {
  return LETTERS.filter((letter) => set.has(letter)).join('');
}

test('the values added last are kept, and no more than there may be', () => {
  const set = new RecentSet<string>(3);
  for (const letter of LETTERS) set.add(letter);
  expect(shown(set)).toBe('bcd');
  expect(set.size).toBe(3);
});

test('a value that is added again counts as new, and one that is deleted makes room', () => {
  const set = new RecentSet<string>(3);
  for (const letter of ['a', 'b', 'c', 'a', 'd']) set.add(letter);
  expect(shown(set)).toBe('acd');
  set.delete('c');
  set.delete('c');
  set.add('b');
  expect(shown(set)).toBe('abd');
});
