import { expect, test } from 'vitest';
import { sharedView } from '../../protocol/documents/index.ts';
import { namedByView, nameIn, textsOf } from '../../server/services/documents/named.ts';

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

test.each<[string, Record<string, unknown>, RegExp | undefined]>([
  ['an expression without texts', { expressions: { twice: '"salary" * 2' } }, undefined],
  ['a text of ExprTK', { expressions: { us: `"region" == 'US'` } }, /texts/],
  ['a text of SQL between dollars', { expressions: { us: 'region = $$US$$' } }, /texts/],
  ['one with a name', { expressions: { us: 'region = $a1$US$a1$' } }, /texts/],
  [
    'a constant, a threshold and a column with digits',
    { expressions: { a: '"salary" * 2', b: '"salary" >= 15', c: '"q4" == "q 5"', d: 'x := 2; x' } },
    undefined,
  ],
  ['a number of ExprTK that something equals', { expressions: { us: 'if ("salary" == 90210) 1; else 0' } }, /numbers/],
  ['a number that something does not equal', { expressions: { us: '90210 <> salary' } }, /numbers/],
  ['a number of a list of SQL', { expressions: { us: 'salary IN (90210)' } }, /numbers/],
  ['a number of a case of SQL', { expressions: { us: 'CASE salary WHEN 90210 THEN true END' } }, /numbers/],
  ['a condition of SQL', { expressions: { high: 'CASE WHEN salary > 15 THEN true END' } }, undefined],
  ['a field of another viewer', { having: [['region', '==', 'US']] }, /"having"/],
  [
    'a window of known fields',
    {
      windows: {
        w: { column: 'salary', aggregate: 'sum', partition_by: ['region'], order_by: ['salary', 'asc'], rows: 2, range: null, cumulative: true },
      },
    },
    undefined,
  ],
  [
    'a field of a window of another viewer',
    { windows: { v: { column: 'salary', aggregate: 'sum' }, w: { column: 'salary', aggregate: 'sum', where: ['region', '==', 'US'] } } },
    /"w"/,
  ],
  [
    'a known field of a window that is of another form',
    { windows: { w: { column: 'salary', aggregate: 'sum', rows: ['region', '==', 'US'] } } },
    /"w"/,
  ],
])('DOC31 %s may tell of rows, or not', (_, config, doubt) => {
  const at = '2026-11-23T00:00:00.000Z';
  const view = { name: 'View', config, plugin: 'Datagrid', dialect: 'sql', ref: 'main', author: 'alice', createdAt: at, updatedAt: at };
  const named = namedByView(sharedView.parse(view), new Set(['region', 'salary']));
  if (doubt === undefined) expect(named.doubt).toBeUndefined();
  else expect(named.doubt).toMatch(doubt);
});

test('DOC31 a part of a word, a position in a list and a number are no names', () => {
  const entry = { body: 'salaryman unsalary', replies: [{ count: 7 }] };
  expect(nameIn(textsOf(entry), ['salary', '0', '7'])).toBeUndefined();
});
