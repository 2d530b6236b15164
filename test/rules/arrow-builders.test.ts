import type { DuckDBVector } from '@duckdb/node-api';
import { Int32 } from 'apache-arrow';
import { expect, test } from 'vitest';
import { NumberBuilder } from '../../server/storage/parquet/arrow-builders.ts';

test('EXP4 what lies beside NULL in a vector is not copied', () => {
  const vector = { items: Int32Array.of(7, 42, 9), validity: { data: BigUint64Array.of(0b101n) } } as unknown as DuckDBVector;
  const builder = new NumberBuilder(
    new Int32(),
    (length) => new Int32Array(length),
    (value) => value as number,
  );
  builder.appendRows([vector], 0, 2);
  builder.appendRows([vector], 2, 3);
  const { values, nullCount } = builder.take();
  expect([[...(values as Int32Array)], nullCount]).toEqual([[7, 0, 9], 1]);
});
