import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { datasetNameFault, pointerNameFault } from '../../protocol/names.ts';
import { operationsByName } from '../../protocol/operations/index.ts';
import { parseRef } from '../../server/services/versioning/refs.ts';

describe('NAME1 names of branches and tags', () => {
  test.each(['main', 'v1.0', 'feature/x', 'experiment-normalization', 'Größe 2026', '数据', '1a'])('NAME1 %j is a name', (name) => {
    expect(pointerNameFault(name)).toBeUndefined();
  });

  test.each([
    '',
    '12',
    'latest',
    'Latest',
    'a~1',
    'a@b',
    "a'b",
    'a"b',
    'a`b',
    'a\\b',
    'a;b',
    '../etc',
    'a/../b',
    '.',
    '/a',
    'a/',
    'a//b',
    ' a',
    'a ',
    'a\u0000b',
    'a\nb',
    'a\u007fb',
    'a\u200bb',
    "'; DROP TABLE versions;--",
    'x'.repeat(10_000),
  ])('NAME1 %j is refused with a reason', (name) => {
    expect(pointerNameFault(name)).toMatch(/^(must|"latest")/);
  });
});

describe('NAME2 names of datasets', () => {
  test.each(["Bob's sales", 'Q4 "final"', 'a; b', 'Umsätze €'])('NAME2 %j is a name', (name) => {
    expect(datasetNameFault(name)).toBeUndefined();
  });

  test.each(['', '   ', '../x', '..\\x', 'a\u0000', 'a\tb', 'x'.repeat(10_000)])('NAME2 %j is refused with a reason', (name) => {
    expect(datasetNameFault(name)).toMatch(/^must/);
  });
});

describe('NAME3 refs', () => {
  test.each([
    ['main', { base: 'main', time: undefined, steps: 0 }],
    ['main~', { base: 'main', time: undefined, steps: 1 }],
    ['main~2', { base: 'main', time: undefined, steps: 2 }],
    ['v1.0~1~3', { base: 'v1.0', time: undefined, steps: 4 }],
    ['17', { base: '17', time: undefined, steps: 0 }],
    ['main@2026-01-31T00:00:00Z', { base: 'main', time: '2026-01-31T00:00:00Z', steps: 0 }],
    ['a/b@2026-01-31~2', { base: 'a/b', time: '2026-01-31', steps: 2 }],
  ])('NAME3 %j is understood', (ref, parsed) => {
    expect(parseRef(ref)).toEqual(parsed);
  });

  test.each(['~1', '@now', 'main~x', 'main~1@2026-01-31', 'a@b@c', 'main~-1'])('NAME3 %j is invalid_input', (ref) => {
    expect(() => parseRef(ref)).toThrowError(expect.objectContaining({ code: 'invalid_input' }));
  });

  test('NAME3 every text is either understood or invalid_input', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '1', '~', '@', '/', '.', '-', ':') }), (ref) => {
        try {
          const { base, steps } = parseRef(ref);
          expect(base.length).toBeGreaterThan(0);
          expect(steps).toBeGreaterThanOrEqual(0);
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_input' });
        }
      }),
    );
  });
});

describe('NAME4 undeclared fields', () => {
  test.each([...operationsByName])('NAME4 %s takes its example and refuses an undeclared field', (_name, { input, example }) => {
    expect(input.safeParse(example.input)).toMatchObject({ success: true });
    expect(input.safeParse({ ...(example.input as object), misspelt: 1 })).toMatchObject({ success: false });
  });
});
