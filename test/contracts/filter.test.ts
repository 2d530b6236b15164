import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { bindFilter } from '../../server/services/access/filter-values.ts';
import { createFilterChecker } from '../../server/storage/parquet/filter-check.ts';
import { FILTER_FUNCTIONS } from '../../server/storage/parquet/filter-functions.ts';
import type { CheckedFilter, Column } from '../../server/storage/stores.ts';
import { openWorkshop, type ParquetWorkshop } from '../support/parquet.ts';
import { REFUSED_FILTERS } from '../support/refused-filters.ts';

const TYPES = {
  Region: 'VARCHAR',
  n: 'INTEGER',
  big: 'BIGINT',
  d: 'DATE',
  t: 'TIMESTAMP',
  tz: 'TIMESTAMP WITH TIME ZONE',
  dec: 'DECIMAL(10,2)',
  x: 'DOUBLE',
  b: 'BOOLEAN',
  'a b': 'VARCHAR',
  l: 'VARCHAR[]',
  s: 'STRUCT(city VARCHAR)',
  u: 'UUID',
  e: "ENUM('one', 'two')",
} as const;

const SCHEMA: readonly Column[] = Object.entries(TYPES).map(([name, type], index) => ({ columnId: index + 1, name, type, nullable: true }));
const control = { signal: new AbortController().signal };

let workshop: ParquetWorkshop;
let check: (filter: string) => Promise<CheckedFilter>;

beforeAll(async () => {
  workshop = await openWorkshop();
  const checkFilter = createFilterChecker(workshop);
  check = (filter) => checkFilter(filter, SCHEMA, control);
});

afterAll(() => workshop.close());

/** As it runs, with `?` where values go. */
const rendered = async (filter: string): Promise<string> => (await check(filter)).pieces.join('?');

describe('what is accepted', () => {
  test.each([
    ["region = 'EU'", "(region = 'EU')"],
    ["Region = 'it''s' /* {{no}} */ -- {{no}}", "(Region = 'it''s')"],
    ["'{{no}}' = Region", "('{{no}}' = Region)"],
    ['n BETWEEN 1 AND 5 and n is not null', '((n BETWEEN 1 AND 5) AND (n IS NOT NULL))'],
    ['b', 'b'],
    ['n IN (1, 2) or not b', '((n IN (1, 2)) OR (NOT b))'],
    ['big = 99999999999999999999999999999', '(big = 99999999999999999999999999999)'],
    ['big = 9007199254740993', '(big = 9007199254740993)'],
    ['dec = 1.10', '("dec" = 1.10)'],
    ["Region LIKE 'E%' and Region NOT ILIKE '%x'", "((Region ~~ 'E%') AND (Region !~~* '%x'))"],
    ["\"a b\" LIKE '5!%' ESCAPE '!'", "main.like_escape(\"a b\", '5!%', '!')"],
    ['d >= current_date - INTERVAL 30 DAY', '(d >= (? - to_days(CAST(trunc(CAST(30 AS DOUBLE)) AS INTEGER))))'],
    ['extract(year from d) = 2020', "(main.date_part('year', d) = 2020)"],
    ["l[1] = 'a' and s['city'] = 'Rome'", "((l[1] = 'a') AND (s['city'] = 'Rome'))"],
    ["list_contains(l, 'a')", "list_contains(l, 'a')"],
    ['CASE WHEN b THEN n = 1 ELSE n = 2 END', 'CASE  WHEN (b) THEN ((n = 1)) ELSE (n = 2) END'],
    ["Region ~ '^E'", "regexp_full_match(Region, '^E')"],
    ['try_cast(Region AS INTEGER) = 1', '(TRY_CAST(Region AS INTEGER) = 1)'],
    ["tz > TIMESTAMPTZ '2020-01-01'", "(tz > CAST('2020-01-01' AS TIMESTAMP WITH TIME ZONE))"],
    ['true', "CAST('t' AS BOOLEAN)"],
  ])('SCOPE5 %s runs as DuckDB renders it', async (filter, expected) => {
    expect(await rendered(filter)).toBe(expected);
  });

  test('SCOPE5 the columns that a filter names are kept with their types, as the schema spells them', async () => {
    expect((await check("REGION = 'x' and region <> 'y' or N = 1")).columns).toEqual([
      { name: 'Region', type: 'VARCHAR' },
      { name: 'n', type: 'INTEGER' },
    ]);
  });

  test.each([
    ['Region = {{region}}', 'VARCHAR', false],
    ['lower({{ department }}) = Region', 'VARCHAR', false],
    ['n = {{n}}', 'INTEGER', false],
    ['n NOT IN (7, {{ids}})', 'INTEGER', true],
    ['d >= {{since}}', 'DATE', false],
    ['t < {{until}}', 'TIMESTAMP', false],
    ['tz < {{until}}', 'TIMESTAMP WITH TIME ZONE', false],
    ['dec < {{limit}}', 'DECIMAL(10,2)', false],
    ['x > {{https://example.org/x}}', 'DOUBLE', false],
    ['b = {{flag}}', 'BOOLEAN', false],
    ['u = {{id}}', 'UUID', false],
    ['e = {{e}}', 'VARCHAR', false],
    ['n + {{k}}::BIGINT > 3', 'BIGINT', false],
    ['big < {{k}}::INTEGER', 'INTEGER', false],
    ['x < CAST({{k}} AS DECIMAL(5,1))', 'DECIMAL(5,1)', false],
    ["Region = {{k}}::VARCHAR || 'x'", 'VARCHAR', false],
  ])('SCOPE6 the value of %s is of type %s', async (filter, type, isListItem) => {
    expect((await check(filter)).parameters).toMatchObject([{ type, isListItem }]);
  });

  test('SCOPE6 current_date is a value, unless it is a column', async () => {
    expect((await check('current_date >= d and CURRENT_DATE < d')).parameters).toEqual([
      { claim: null, type: 'DATE', isListItem: false },
      { claim: null, type: 'DATE', isListItem: false },
    ]);
    const columns: Column[] = [{ columnId: 1, name: 'current_date', type: 'DATE', nullable: true }];
    const filter = await createFilterChecker(workshop)("current_date > DATE '2020-01-01'", columns, control);
    expect(filter).toMatchObject({ parameters: [], columns: [{ name: 'current_date' }] });
  });
});

describe('what is refused', () => {
  test.each(REFUSED_FILTERS)('SCOPE4 %j at %i', async (filter, offset) => {
    const error = await check(filter).catch((fault: unknown) => fault);
    expect(error).toBeInstanceOf(CovistaError);
    const before = filter.slice(0, offset).split('\n');
    expect(error).toMatchObject({
      code: 'invalid_input',
      details: { field: 'rowFilter', offset, line: before.length, column: (before.at(-1) ?? '').length + 1 },
    });
  });

  test('SCOPE4 every function on the list gives the same for the same arguments, by what DuckDB says of it', async () => {
    const rows = await workshop.rows('SELECT DISTINCT function_name, function_type, stability, has_side_effects FROM duckdb_functions()');
    const impure = [...FILTER_FUNCTIONS].filter((name) => {
      const forms = rows.filter((row) => row.function_name === name);
      const isPure = (row: (typeof rows)[number]): boolean =>
        row.function_type === 'scalar' && row.stability === 'CONSISTENT' && row.has_side_effects === false;
      return forms.length === 0 || !forms.every(isPure);
    });
    // These two are shorthands of DuckDB for expressions of such functions.
    expect(impure.sort()).toEqual(['nullif', 'split_part']);
  });
});

/** Pieces that filters are made of, some of which must never get through. */
const PIECES = [
  ...['n', 'Region', 'b', '"a b"', 'l', '1', "'x'", "'", '"', '(', ')', '[', ']', '{', '}', '{{', '}}', '{{claim}}', ',', ';', '.', '::', ':='],
  ...['=', '<>', '+', '-', '||', '->', '->>', '~', '~~', '!', '@', '#', '$1', '?', '*', '--', '/*', '*/', '\n', ' '],
  ...[
    'AND',
    'OR',
    'NOT',
    'IN',
    'LIKE',
    'ESCAPE',
    'IS',
    'NULL',
    'BETWEEN',
    'CASE',
    'WHEN',
    'THEN',
    'ELSE',
    'END',
    'SELECT',
    'FROM',
    'EXISTS',
    'ANY',
    'OVER',
  ],
  ...['lower', 'count', 'getenv', 'read_csv', 'current_date', 'INTERVAL', 'DATE', 'INTEGER', 'E', 'X', 'U&', '$$', '\\', '\u0000', 'é', '\u{1F600}'],
];

const SOUND = ["Region = 'x' AND n IN (1, 2)", 'lower(Region) = {{claim}} or b', 'CASE WHEN b THEN n = 1 ELSE NOT b END', "l[1] LIKE 'x%'"];

/** What no accepted filter can contain outside of quotes, however it came about. */
const FORBIDDEN = /\b(SELECT|FROM|OVER|FILTER|getenv|read_|count|ANY|EXISTS)\b|[;$]|->/i;

test('SCOPE4 no mixture of pieces gets through with something that is not on the list, and none is a fault', async () => {
  const mixtures = fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 14 }).map((pieces) => pieces.join(' '));
  const spoiled = fc
    .tuple(fc.constantFrom(...SOUND), fc.array(fc.tuple(fc.nat(60), fc.constantFrom(...PIECES)), { minLength: 1, maxLength: 3 }))
    .map(([filter, pieces]) => pieces.reduce((text, [at, piece]) => `${text.slice(0, at)}${piece}${text.slice(at)}`, filter));
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(fc.oneof(mixtures, spoiled, fc.string({ unit: 'binary', maxLength: 40 })), async (filter) => {
      const outcome = await check(filter).catch((fault: unknown) => fault);
      if (outcome instanceof Error) {
        expect(outcome).toMatchObject({ code: 'invalid_input', details: { offset: expect.any(Number) } });
        return;
      }
      accepted += 1;
      const { pieces } = outcome as CheckedFilter;
      expect(pieces.join(' ').replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"/g, '')).not.toMatch(FORBIDDEN);
    }),
    { numRuns: 1_500, seed: 7 },
  );
  expect(accepted).toBeGreaterThan(10);
});

test('SCOPE6 a value cannot become SQL', async () => {
  const filter = await check('Region = {{region}}');
  const claims = { region: "' OR 1=1 --" };
  const bound = bindFilter(filter, { claims, today: '2026-01-01' }, workshop.limits);
  expect(bound).toMatchObject({ condition: { sql: '(Region = CAST(? AS VARCHAR))', values: ["' OR 1=1 --"] } });
});
