import { describe, expect, test } from 'vitest';
import { CHART_KINDS } from '../../client/workbench/explore/chart-kinds.ts';
import { sharedView } from '../../protocol/documents/index.ts';
import type { DatasetId } from '../../protocol/ids.ts';
import { textsOf } from '../../server/services/documents/entry-texts.ts';
import { hiddenNameIn } from '../../server/services/documents/hidden-names.ts';
import { firstNameIn } from '../../server/services/documents/name-search.ts';
import { namedByView } from '../../server/services/documents/named.ts';
import { AGGREGATE_NAMES, FILTER_OPERATORS, PLUGIN_NAMES, WINDOW_NAMES } from '../../server/services/documents/view-terms.ts';
import type { Scope } from '../../server/storage/content-store.ts';
import type { Column, ColumnForm } from '../../server/storage/stores.ts';
import { AGGREGATES } from '../../server/workers/duckdb-tables/aggregates.ts';
import type { ColumnKind } from '../../server/workers/duckdb-tables/column-types.ts';
import { FILTER_OPERATORS as OPERATORS_BY_KIND } from '../../server/workers/duckdb-tables/filters.ts';
import { windowsOf } from '../../server/workers/duckdb-tables/windows.ts';

const AT = '2026-11-23T00:00:00.000Z';
const { signal } = new AbortController();
const found = (texts: readonly string[], ...names: string[]) => firstNameIn(texts, { names, counts: () => true, signal });

test.each<[string, Record<string, unknown>, string]>([
  ['at the beginning of a line', { body: 'See below.\nsalary is odd' }, 'salary'],
  ['behind a tab', { body: 'See\tSalary' }, 'salary'],
  ['with quotes', { body: 'What is pay "net" worth?' }, 'pay "net"'],
  ['with a backslash', { body: 'a\\b is odd' }, 'a\\b'],
  ['as a field', { columnsConfig: { salary: {} } }, 'salary'],
  ['deep within', { replies: [{ body: ['of salary'] }] }, 'salary'],
  ['with marks alone', { body: 'How much is %?' }, '%'],
  ['with a letter of another case that is longer', { body: 'Die STRAẞE ist lang' }, 'straße'],
  ['with a sign that counts as a letter', { body: '20 \u212Aelvin' }, 'kelvin'],
  ['composed otherwise', { body: 'Geha\u0308lter' }, 'Geh\u00e4lter'],
])('DOC31 the name of a column is found %s', async (_, entry, name) => {
  const map = 'columnsConfig' in entry ? 'views' : 'annotations';
  expect(await found(textsOf(map, entry), 'other', name)).toBe(name);
  expect(await firstNameIn(textsOf(map, entry), { names: [name], counts: () => false, signal })).toBeUndefined();
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
  const view = { name: 'View', config, plugin: 'Datagrid', dialect: 'sql', ref: 'main', author: 'alice', createdAt: AT, updatedAt: AT };
  const named = namedByView(sharedView.parse(view), new Set(['region', 'salary']));
  if (doubt === undefined) expect(named.doubt).toBeUndefined();
  else expect(named.doubt).toMatch(doubt);
});

test('DOC31 a part of a word, a position in a list and a number are no names', async () => {
  const entry = { body: 'salaryman unsalary', replies: [{ count: 7 }] };
  expect(await found(textsOf('annotations', entry), 'salary', '0', '7')).toBeUndefined();
});

test('DOC31 many names are looked for in long texts while others have their turn, until nobody waits for it', async () => {
  const texts = [`column ${Array.from({ length: 2_000 }, (_, index) => index).join(' ')}`, 'column'];
  const names = Array.from({ length: 2_000 }, (_, index) => `${index} column`);
  const left = new AbortController();
  let turns = 0;
  const watch = setInterval(() => {
    turns += 1;
    if (turns === 3) left.abort();
  }, 1);
  await expect(firstNameIn(texts, { names, counts: () => true, signal: left.signal })).rejects.toMatchObject({ code: 'cancelled' });
  clearInterval(watch);
});

test('DOC31 names of fields and terms are no texts of a view, and whatever else is in their places is', () => {
  const config = {
    columns: ['a', null],
    filter: [
      ['b', 'begins with', 'c'],
      ['d', 'like', ['e', 1]],
    ],
    filter_op: 'and',
    sort: [
      ['f', 'col asc abs'],
      ['g', 'up'],
    ],
    aggregates: { h: 'pct sum total', i: ['weighted mean', ['j']], k: 'best' },
    expressions: { l: '"m"' },
    windows: { n: { column: 'o', aggregate: 'sum', order_by: ['p', 'asc'], rows: 2, of: ['q'] }, r: { column: 's', aggregate: 'how' } },
    group_rollup_mode: 'flat',
    having: { t: 'u' },
  };
  const fixed = { plugin: 'X/Y Scatter', dialect: 'sql', ref: 'main', createdAt: AT, updatedAt: AT, updatedBy: 'bob' };
  const types = { v: 'DECIMAL(10,2)', w: 'string', x: 'STRUCT(salary INTEGER)' };
  const view = { name: 'Sum', description: 'count', config, columnTypes: types, pluginConfig: { sort: 'asc' }, author: 'alice', ...fixed };
  const texts = [...'abc', 'd', 'like', 'e', 'f', 'g', 'up', ...'hijk', 'best', 'l', '"m"', ...'nop', 'of', 'q', 'r', 's', 'how', 'having', 't', 'u'];
  const others = ['v', 'w', 'x', 'STRUCT(salary INTEGER)', 'sort', 'asc', 'alice', 'bob'];
  expect(textsOf('views', view).toSorted()).toEqual(['Sum', 'count', ...texts, ...others].toSorted());
  const elsewhere = {
    plugin: 'Mine',
    dialect: 'python',
    ref: 'other',
    createdAt: 'then',
    config: { filter: 'none', sort: [{ by: 'a' }] },
    more: 'b',
  };
  expect(textsOf('views', elsewhere)).toEqual(['Mine', 'python', 'other', 'then', 'none', 'by', 'a', 'more', 'b']);
});

test('DOC31 names of fields are no texts of an annotation, but for those of columns', () => {
  const anchor = { rowKey: { a: 'b', c: 1 }, column: 'd', viewId: 'e', cell: { rowPath: ['f', null], column: 'g' } };
  const replies = [{ id: 'i', author: 'j', body: 'k', at: AT, editedAt: AT }];
  const note = { anchor, body: 'h', replies, author: 'l', createdAt: AT, updatedAt: AT, resolved: { by: 'm', at: AT } };
  expect(textsOf('annotations', note)).toEqual([...'abcdefghijklm']);
});

test('DOC31 the terms are those that engines and viewers have', () => {
  const kinds = Object.keys(OPERATORS_BY_KIND) as ColumnKind[];
  expect(AGGREGATE_NAMES).toEqual(Object.keys(AGGREGATES));
  expect(new Set(FILTER_OPERATORS)).toEqual(new Set(Object.values(OPERATORS_BY_KIND).flat()));
  expect(new Set(WINDOW_NAMES)).toEqual(new Set(kinds.flatMap((kind) => windowsOf(kind).map(({ name }) => name))));
  expect(PLUGIN_NAMES).toEqual(['Datagrid', ...CHART_KINDS.map(({ name }) => name)]);
});

describe('names of columns that a scope hides in some version', () => {
  const column = (columnId: number, name: string, type = 'VARCHAR'): Column => ({ columnId, name, type, nullable: true });
  const region = { sql: "region = 'EU'", values: [], columns: [{ name: 'region', type: 'VARCHAR' }] };
  const hidden = (text: string, forms: readonly ColumnForm[], { scope, most = 10 }: { readonly scope: Scope; readonly most?: number }) =>
    hiddenNameIn([text], {
      versions: { columnForms: async (_datasetId, { limit }) => forms.slice(0, limit) },
      limits: { documentColumnFormsMax: most },
      datasetId: 1 as DatasetId,
      scope,
      visible: new Set(['id', 'Shown']),
      signal,
    });
  const masked = { parts: [{ rows: null, mask: { hidden: ['salary'], columnIdsBelow: 5 } }] };

  test('DOC31 are those that came after the grant, in any version, but for what the newest shows', async () => {
    const forms: ColumnForm[] = [[column(4, 'old')], [column(5, 'bonus')], [column(6, 'shown')], [column(3, 'back')], [column(7, 'back')]];
    expect(await hidden('old and shown', forms, { scope: masked })).toBeUndefined();
    expect(await hidden('Bonus', forms, { scope: masked })).toBe('bonus');
    expect(await hidden('Back', forms, { scope: masked })).toBe('back');
    expect(await hidden('Salary', forms, { scope: masked })).toBe('salary');
  });

  test('DOC31 are those of versions that a filter does not fit', async () => {
    const forms: ColumnForm[] = [
      [column(2, 'fits'), column(1, 'region')],
      [column(3, 'differs'), column(4, 'region', 'BIGINT')],
      [column(5, 'lacks')],
    ];
    const scope = { parts: [{ rows: region, mask: null }] };
    expect(await hidden('fits', forms, { scope })).toBeUndefined();
    expect(await hidden('differs', forms, { scope })).toBe('differs');
    expect(await hidden('lacks', forms, { scope })).toBe('lacks');
  });

  test('DOC31 are too many to be looked for in a dataset that had more than documentColumnFormsMax', async () => {
    const forms: ColumnForm[] = [[column(3, 'one')], [column(4, 'two')]];
    expect(await hidden('three', forms, { scope: masked, most: 2 })).toBeUndefined();
    await expect(hidden('three', forms, { scope: masked, most: 1 })).rejects.toMatchObject({
      code: 'unprocessable_data',
      details: { rule: 'DOC31' },
    });
  });
});
