import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chooseType, inferTypes, TYPES } from '../../server/storage/parquet/text-types.ts';
import { parseType } from '../../server/storage/parquet/type-tree.ts';

const digits = (min: number, max: number) => fc.stringMatching(new RegExp(`^\\d{${min},${max}}$`));

/** Texts that are, or nearly are, of some type. */
const TEXTS = fc.oneof(
  fc.stringMatching(/^[+-]?\d{0,20}(?:\.\d{0,20})?(?:[eE][+-]?\d{1,3})?$/),
  fc.stringMatching(/^ ?[+-]?0?\d{1,3} ?$/),
  fc.constantFrom('true', 'FALSE', 'True', 't', 'yes', '1', 'nan', 'NaN', '-inf', 'Infinity', '1_000', '0x1F', '007', '-0', '.', '-', ' '),
  fc.constantFrom('1_000.5', '-1_0', '0.1_5', '1e999', '-2E400', '1.7976931348623159e308', '9007199254740993.5', '0.30000000000000004'),
  fc.constantFrom(
    '1-1-1 (BC)',
    '12024-1-01',
    '2024-1-2  ',
    '2024 01 02',
    '-024-01-02',
    '  infinity',
    ' -infinity',
    '2024-01- 2',
    ' 024-01-02',
    '2024-01-2 ',
  ),
  fc.constantFrom(
    '2024-01-02 24:00:00',
    '2024-01-2  03:04:05',
    '-024-01-02 03:04:05',
    '2024-01-02 03:04: 5',
    '2024-01-02  3:04:05',
    '2024-01-02 03:04:5 ',
  ),
  fc.tuple(digits(4, 4), digits(2, 2), digits(2, 2), fc.constantFrom('-', '/')).map(([y, m, d, separator]) => [y, m, d].join(separator)),
  fc.tuple(digits(1, 2), digits(1, 2), digits(4, 4), fc.constantFrom('/', '.', '-')).map(([d, m, y, separator]) => [d, m, y].join(separator)),
  fc.stringMatching(/^20\d\d-[01]\d-[0-3]\d[ T][0-2]\d:[0-5]\d(?::[0-5]\d(?:\.\d{0,9})?)?(?: ?(?:Z|UTC|[+-]\d\d(?::?\d\d)?))?$/),
  fc.stringMatching(/^[0-2]\d:[0-6]\d(?::[0-6]\d(?:\.\d{1,7})?)?$/),
  fc.stringMatching(/^(?:Jan|feb|MAR|Okt|Dec) \d{1,2} \d{4}$/),
);

describe('types of texts', () => {
  test('ING10 the conversion of every value takes what the sample takes for a type, and nothing else', { timeout: 120_000 }, async () => {
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
    const tell = async (texts: readonly string[]): Promise<boolean[][]> => {
      const tests = TYPES.map((type) => `coalesce(${type.keeps('x')} AND ${type.tryConvert('x')} IS NOT NULL, false)`);
      const values = texts.map((text) => `('${text.replaceAll("'", "''")}')`).join(', ');
      const reader = await connection.runAndReadAll(`SELECT [${tests.join(', ')}] AS fits FROM (VALUES ${values}) AS t(x)`);
      return reader.getRowsJson().map(([fits]) => fits as boolean[]);
    };
    await fc.assert(
      fc.asyncProperty(fc.array(TEXTS, { minLength: 50, maxLength: 200 }), async (texts) => {
        const fits = await tell(texts);
        for (const [index, text] of texts.entries()) {
          for (const [at, type] of TYPES.entries()) {
            if (text !== '') expect([text, type.sqlType, fits[index]?.[at]]).toEqual([text, type.sqlType, type.matches(text)]);
          }
        }
      }),
      { numRuns: 60 },
    );
    connection.closeSync();
    instance.closeSync();
  });

  test('ING10 a whole number comes back as it was written', async () => {
    const bigint = TYPES.find(({ sqlType }) => sqlType === 'BIGINT');
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        expect(bigint?.matches(String(value))).toBe(true);
      }),
    );
    for (const text of ['9223372036854775808', '-9223372036854775809', '01', '+1', '1.0', '1e3', '']) expect(bigint?.matches(text), text).toBe(false);
  });

  test('ING11 day and month are told apart by any value that can', () => {
    const choose = (...values: string[]) => chooseType(inferTypes(values) ?? []).sqlType;
    expect(choose('1/2/2020', '12/12/2020')).toBe('VARCHAR');
    expect(choose('1/2/2020', '13/12/2020')).toBe('DATE');
    expect(choose('1/13/2020', '1/2/2020')).toBe('DATE');
    expect(choose('13/1/2020', '1/13/2020')).toBe('VARCHAR');
  });

  test('ING10 without any value there is nothing to tell by', () => {
    expect(inferTypes([null, '', undefined])).toBeUndefined();
    expect(inferTypes(['x'])).toEqual([]);
  });
});

describe('types as DESCRIBE prints them', () => {
  test('ING15 are taken apart, whatever the names in them', () => {
    const plain = (name: string) => ({ kind: 'plain', name });
    expect(parseType('DECIMAL(10,2)')).toEqual(plain('DECIMAL(10,2)'));
    expect(parseType('INTEGER[][3]')).toEqual({ kind: 'list', item: { kind: 'list', item: plain('INTEGER') } });
    expect(parseType('STRUCT("a, b)" INTEGER, "q""(" STRUCT(x TIMESTAMP WITH TIME ZONE)[], c MAP(VARCHAR, DECIMAL(4,1)))')).toEqual({
      kind: 'struct',
      fields: [
        { name: 'a, b)', type: plain('INTEGER') },
        { name: 'q"(', type: { kind: 'list', item: { kind: 'struct', fields: [{ name: 'x', type: plain('TIMESTAMP WITH TIME ZONE') }] } } },
        { name: 'c', type: { kind: 'map', key: plain('VARCHAR'), value: plain('DECIMAL(4,1)') } },
      ],
    });
  });
});
