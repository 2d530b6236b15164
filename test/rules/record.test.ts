import { describe, expect, test } from 'vitest';
import * as z from 'zod/v4';
import { annotation } from '../../protocol/documents/index.ts';
import { jsonSchemaOf } from '../../protocol/json-schema.ts';
import { operationsByName } from '../../protocol/operations/index.ts';
import { record } from '../../protocol/record.ts';

const counts = record(z.string().min(1), z.int()).refine((fields) => Object.keys(fields).length < 4, 'has too many');
const issuesOf = (value: unknown) => counts.safeParse(value).error?.issues.map(({ path, message }) => [path.join('.'), message]);

describe('fields that the caller names', () => {
  test.each(['constructor', 'prototype', 'toString', 'hasOwnProperty', 'a"b', '数据'])('NAME4 may be called %j', (name) => {
    const given = { [name]: 1, other: 2 };
    expect(counts.parse(given)).toEqual(given);
    expect(issuesOf({ [name]: 'x' })).toEqual([[name, expect.stringMatching(/expected (int|number)/)]]);
  });

  test('NAME4 are never called __proto__, and by no name that the field may not have', () => {
    expect(issuesOf(JSON.parse('{"__proto__":1}'))).toEqual([['__proto__', 'is no name that a field can have']]);
    expect(issuesOf({ '': 1 })).toEqual([['', expect.stringContaining('>=1 characters')]]);
    expect(Object.getPrototypeOf(counts.safeParse(JSON.parse('{"__proto__":{"a":1}}')))).toBe(Object.prototype);
  });

  test.each([[[]], ['text'], [null], [undefined], [3], [new Uint8Array(2)], [new Map()], [new Date()], [Object.create({ a: 1 })]])(
    'NAME4 are those of an object, which %o is not',
    (value) => {
      expect(issuesOf(value)).toEqual([['', expect.stringContaining('expected record')]]);
    },
  );

  test('NAME4 are checked together as well, and described as those of any record', () => {
    expect(issuesOf({ a: 1, b: 2, c: 3, d: 4 })).toEqual([['', 'has too many']]);
    expect(counts.parse(Object.assign(Object.create(null), { a: 1 }))).toEqual({ a: 1 });
    expect(jsonSchemaOf(counts, 'input')).toEqual(jsonSchemaOf(z.record(z.string().min(1), z.int()), 'input'));
  });

  test('NAME4 are taken by operations and documents under any name of a column', () => {
    const tableId = 'dataset_1_v1_0123456789abcdef0123456789abcdef';
    const create = operationsByName.get('view.create')?.input;
    const config = {
      aggregates: { constructor: 'count' },
      expressions: { constructor: '1' },
      windows: { constructor: { column: 'a', aggregate: 'sum' } },
    };
    expect(create?.safeParse({ tableId, ...config })).toMatchObject({ success: true, data: config });
    expect(create?.safeParse({ tableId, aggregates: { constructor: 5 } }).error?.issues).toMatchObject([
      { path: ['aggregates', 'constructor'], message: 'must be the name of an aggregate, or a list of one and of columns' },
    ]);
    expect(annotation.shape.anchor.safeParse({ rowKey: { constructor: 'c1' } })).toMatchObject({ success: true });
  });
});
