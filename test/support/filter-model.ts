import fc from 'fast-check';

/** A row filter as a test has it: as its author would write it, and what it says of a row, in SQL's logic of three values. */
export interface ModelFilter {
  readonly sql: string;
  readonly holds: (row: ModelRow) => Truth;
}

export type Truth = boolean | null;

export interface ModelRow {
  readonly n: number | null;
  readonly Region: string | null;
  readonly flag: boolean | null;
  readonly m: number | null;
  readonly 'a "b"': string | null;
}

/** The columns that model filters name. */
export const MODEL_COLUMNS = [
  { name: 'n', type: 'INTEGER' },
  { name: 'Region', type: 'VARCHAR' },
  { name: 'flag', type: 'BOOLEAN' },
  { name: 'm', type: 'BIGINT' },
  { name: 'a "b"', type: 'VARCHAR' },
] as const;

/** The claims that model filters ask for. */
export const MODEL_CLAIMS = { region: "E'U", ids: [1, 3, '5'], yes: true } as const;

const NUMBERS = ['n', 'm'] as const;
const TEXTS = ['Region', 'a "b"'] as const;
const WORDS = ['', "E'U", 'US', 'a%', 'é', '{{region}}'] as const;

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
/** NULL compares as NULL. */
const where = <Value>(value: Value | null, test: (value: Value) => boolean): Truth => (value === null ? null : test(value));

const not = (truth: Truth): Truth => (truth === null ? null : !truth);
const and = (one: Truth, other: Truth): Truth => (one === false || other === false ? false : one === null || other === null ? null : true);
const or = (one: Truth, other: Truth): Truth => not(and(not(one), not(other)));

const OPERATORS = {
  '=': (one: number, other: number) => one === other,
  '<>': (one: number, other: number) => one !== other,
  '<': (one: number, other: number) => one < other,
  '>=': (one: number, other: number) => one >= other,
} as const;

const numbers: fc.Arbitrary<ModelFilter> = fc
  .tuple(fc.constantFrom(...NUMBERS), fc.constantFrom(...(Object.keys(OPERATORS) as (keyof typeof OPERATORS)[])), fc.integer({ min: -2, max: 6 }))
  .map(([column, operator, value]) => ({
    sql: `${column} ${operator} ${value}`,
    holds: (row) => where(row[column], (one) => OPERATORS[operator](one, value)),
  }));

const texts: fc.Arbitrary<ModelFilter> = fc
  .tuple(fc.constantFrom(...TEXTS), fc.constantFrom(...WORDS), fc.boolean())
  .map(([column, word, isDistinct]) => ({
    sql: `${quoted(column)} ${isDistinct ? 'IS DISTINCT FROM' : '='} ${literal(word)} /* {{nothing}} */`,
    holds: (row) => (isDistinct ? row[column] !== word : where(row[column], (one) => one === word)),
  }));

const claims: fc.Arbitrary<ModelFilter> = fc.constantFrom<ModelFilter>(
  { sql: 'region = {{region}}', holds: (row) => where(row.Region, (one) => one === MODEL_CLAIMS.region) },
  { sql: 'n IN ({{ ids }}, 0)', holds: (row) => where(row.n, (one) => [0, 1, 3, 5].includes(one)) },
  { sql: 'm not in ({{ids}})', holds: (row) => where(row.m, (one) => ![1, 3, 5].includes(one)) },
  { sql: 'flag = {{yes}}', holds: (row) => row.flag },
);

const others: fc.Arbitrary<ModelFilter> = fc.constantFrom<ModelFilter>(
  { sql: 'flag', holds: (row) => row.flag },
  { sql: 'true', holds: () => true },
  { sql: '1 = 2 -- never', holds: () => false },
  { sql: 'n IS NULL', holds: (row) => row.n === null },
  { sql: 'Region IS NOT NULL', holds: (row) => row.Region !== null },
  { sql: 'n BETWEEN 1 AND 3', holds: (row) => where(row.n, (one) => one >= 1 && one <= 3) },
  { sql: "Region LIKE 'U%'", holds: (row) => where(row.Region, (one) => one.startsWith('U')) },
  { sql: 'm % 2 = 0', holds: (row) => where(row.m, (one) => one % 2 === 0) },
  { sql: "coalesce(lower(Region), 'us') = 'us'", holds: (row) => (row.Region ?? 'us').toLowerCase() === 'us' },
  { sql: '"a ""b""" IN (\'US\', NULL)', holds: (row) => (row['a "b"'] === 'US' ? true : null) },
);

const negated = (inner: ModelFilter): ModelFilter => ({ sql: `NOT (${inner.sql}\n)`, holds: (row) => not(inner.holds(row)) });

const joined =
  (word: string, join: (one: Truth, other: Truth) => Truth) =>
  ([one, other]: readonly [ModelFilter, ModelFilter]): ModelFilter => ({
    sql: `(${one.sql}\n) ${word} (${other.sql}\n)`,
    holds: (row) => join(one.holds(row), other.holds(row)),
  });

const chosen = ([when, then, otherwise]: readonly [ModelFilter, ModelFilter, ModelFilter]): ModelFilter => ({
  sql: `CASE WHEN (${when.sql}\n) THEN (${then.sql}\n) ELSE (${otherwise.sql}\n) END`,
  holds: (row) => (when.holds(row) === true ? then.holds(row) : otherwise.holds(row)),
});

/** Filters of any shape, with every kind of part that behaves in a way of its own. */
export const modelFilters: fc.Arbitrary<ModelFilter> = fc.letrec<{ filter: ModelFilter }>((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    numbers,
    texts,
    claims,
    others,
    tie('filter').map(negated),
    fc.tuple(tie('filter'), tie('filter')).map(joined('AND', and)),
    fc.tuple(tie('filter'), tie('filter')).map(joined('or', or)),
    fc.tuple(tie('filter'), tie('filter'), tie('filter')).map(chosen),
  ),
})).filter;
