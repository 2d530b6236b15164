import { expect, test } from 'vitest';
import { nameIn, textsOf } from '../../server/services/documents/named.ts';

test.each([
  ['at the beginning of a line', { body: 'See below.\nsalary is odd' }, 'salary'],
  ['behind a tab', { body: 'See\tSalary' }, 'salary'],
  ['with quotes', { body: 'What is pay "net" worth?' }, 'pay "net"'],
  ['with a backslash', { body: 'a\\b is odd' }, 'a\\b'],
  ['as a field', { columnsConfig: { salary: {} } }, 'salary'],
  ['deep within', { replies: [{ body: ['of salary'] }] }, 'salary'],
  ['composed otherwise', { body: 'Geha\u0308lter' }, 'Geh\u00e4lter'],
])('DOC31 the name of a column is found %s', (_, entry, name) => {
  expect(nameIn(textsOf(entry), ['other', name])).toBe(name);
});

test('DOC31 a part of a word, a position in a list and a number are no names', () => {
  const entry = { body: 'salaryman unsalary', replies: [{ count: 7 }] };
  expect(nameIn(textsOf(entry), ['salary', '0', '7'])).toBeUndefined();
});
