import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { patternFault } from '../../server/services/tables/pattern-check.ts';
import { seededRandom } from '../support/random.ts';

const SEED = Number(process.env.COVISTA_TEST_SEED ?? 11);

let instance: DuckDBInstance;
let connection: DuckDBConnection;

beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  connection = await instance.connect();
});

afterAll(() => {
  connection?.closeSync();
  instance?.closeSync();
});

/** Whether RE2 takes a pattern, which is the library that both engines have. */
async function isTaken(pattern: string): Promise<boolean> {
  const sql = `SELECT regexp_matches('', '${pattern.replaceAll("'", "''")}')`;
  return connection.run(sql).then(
    () => true,
    () => false,
  );
}

const BAD: readonly (readonly [pattern: string, fault: RegExp])[] = [
  ['(', /a "\(" has no "\)"/],
  ['a)', /a "\)" has no "\("/],
  ['[a', /a "\[" has no "\]"/],
  ['[]', /a "\[" has no "\]"/],
  ['*a', /nothing that "\*" repeats/],
  ['a|+', /nothing that "\+" repeats/],
  ['a**', /repeats a repetition/],
  ['a{2000}', /more than 1000/],
  ['a{2,1}', /ends before it begins/],
  ['[z-a]', /ends before it begins/],
  ['[a-\\d]', /which is no character/],
  ['[[:nope:]]', /no class/],
  ['(?=a)', /no group/],
  ['(?<=a)', /no group/],
  ['(?<x>a)', /no group/],
  ['\\1', /there is no "\\1"/],
  ['\\u0041', /there is no "\\u"/],
  ['\\é', /there is no "\\é"/],
  ['a\\', /ends with a backslash/],
  ['\\x{110000}', /names no character/],
];

test.each(BAD)('TB3 the pattern %s is refused with its reason', async (pattern, fault) => {
  expect(patternFault(pattern)).toMatch(fault);
  expect(await isTaken(pattern)).toBe(false);
});

const PIECES = [
  ...[
    'a',
    'b',
    'é',
    '日',
    '.',
    '^',
    '$',
    '|',
    '(',
    '(?:',
    '(?i)',
    '(?P<n>',
    '(?s-m:',
    '(?=',
    ')',
    ')',
    '[',
    '[^',
    ']',
    ']',
    '-',
    '*',
    '+',
    '?',
    '??',
  ],
  ...[
    '{',
    '}',
    '{2}',
    '{1,3}',
    '{,2}',
    '{4,2}',
    '{1,',
    '{1001}',
    '{01}',
    '\\',
    '\\d',
    '\\W',
    '\\b',
    '\\A',
    '\\z',
    '\\Z',
    '\\n',
    '\\.',
    '\\-',
    '\\_',
    '\\pL',
  ],
  ...['\\p{Greek}', '\\x41', '\\x{1F600}', '\\x', '\\07', '\\1', '\\12', '\\8', '\\C', '\\Q(\\E', '[:alpha:]', '[[:^digit:]]', 'a-z', ',', ' ', '#'],
];

test(`TB3 patterns of seed ${SEED} are refused exactly where RE2 refuses them`, async () => {
  const random = seededRandom(SEED);
  const outcomes = { taken: 0, refused: 0 };
  for (let number = 0; number < 6_000; number += 1) {
    const pattern = Array.from({ length: 1 + random.below(7) }, () => PIECES[random.below(PIECES.length)]).join('');
    const taken = await isTaken(pattern);
    expect(patternFault(pattern) === undefined, `${pattern}: ${patternFault(pattern)}`).toBe(taken);
    outcomes[taken ? 'taken' : 'refused'] += 1;
  }
  expect(Math.min(outcomes.taken, outcomes.refused)).toBeGreaterThan(500);
});
