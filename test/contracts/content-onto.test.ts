import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Ingested } from '../../server/storage/content-store.ts';
import { bytes, columns, openTestContent, type TestContent, typesOf } from '../support/content.ts';
import { samplePath } from '../support/samples.ts';

let content: TestContent;

beforeAll(async () => {
  content = await openTestContent();
});

afterAll(async () => {
  await content?.close();
});

const ONTO = columns({ id: 'BIGINT', name: 'VARCHAR', day: 'DATE', price: 'DECIMAL(10,2)' });

const onto = (text: string, target = ONTO) => content.ingest(bytes(text), { onto: target });
const refusedOnto = (text: string, target = ONTO) => onto(text, target).catch((error) => error);

describe('text onto a version', () => {
  test('ING17 the types of the version are read, in its order; new columns come behind, missing ones are NULL', async () => {
    const ingested = await onto('new,NAME,Id\ntrue,001,007\n,"",\n');
    expect(typesOf(ingested)).toEqual({ id: 'BIGINT', name: 'VARCHAR', day: 'DATE', price: 'DECIMAL(10,2)', new: 'BOOLEAN' });
    expect(ingested.missing).toEqual(['day', 'price']);
    expect(await content.rows(ingested)).toEqual([
      { id: 7, name: '001', day: null, price: null, new: true },
      { id: null, name: '', day: null, price: null, new: null },
    ]);
  });

  test('ING17 a file with the columns of the version has the hash of its schema', async () => {
    const first = await content.ingest(bytes('id,name\n1,x\n'));
    const second = await onto('name,id\n2,3\n', columns(typesOf(first)));
    expect(second.schemaHash).toBe(first.schemaHash);
    expect(second.file?.schemaHash).toBe(first.schemaHash);
  });

  test('ING18 values count, not their spelling', async () => {
    const ingested = await onto('id,name,day,price\n7.0,x,2020-01-01 00:00:00,1.50000\n 8 ,y,2020-1-2,1\n');
    expect(await content.rows(ingested)).toEqual([
      { id: 7, name: 'x', day: '2020-01-01', price: '1.50' },
      { id: 8, name: 'y', day: '2020-01-02', price: '1.00' },
    ]);
  });

  test('ING18 a value that would be rounded or cut refuses the commit', async () => {
    const cases = [
      ['id\n1\n7.5\n', 'id', 'BIGINT', '7.5'],
      ['day\n2020-01-01 10:00:00\n', 'day', 'DATE', '2020-01-01 10:00:00'],
      ['price\n1.234\n', 'price', 'DECIMAL(10,2)', '1.234'],
    ] as const;
    for (const [text, column, type, sample] of cases) {
      expect(await refusedOnto(text)).toMatchObject({ code: 'unprocessable_data', details: { column, type, sourceType: 'VARCHAR', sample } });
    }
  });

  test('ING18 a CSV row that a column cannot take is rejected by itself', async () => {
    const ingested = await onto('id,name,added\n1,x,2020-01-01\nfoo,y,2020-01-02\n3,z,2020-01-03\n');
    expect(await content.rows(ingested)).toMatchObject([
      { id: 1, name: 'x', added: '2020-01-01' },
      { id: 3, name: 'z', added: '2020-01-03' },
    ]);
    expect(ingested.conversion).toMatchObject({ status: 'partial', errorCount: 1, errors: [{ line: 3, column: 'id' }] });
  });

  test('ING18 JSON onto a version', async () => {
    const ingested = await onto('[{"id":"7","name":5,"price":1.5},{"id":8.0,"new":true}]');
    expect(await content.rows(ingested)).toEqual([
      { id: 7, name: '5', day: null, price: '1.50', new: null },
      { id: 8, name: null, day: null, price: null, new: true },
    ]);
    for (const text of ['[{"id":7.5}]', '[{"id":1},{"id":"x"}]', '[{"id":[1]}]']) {
      expect(await refusedOnto(text)).toMatchObject({ code: 'unprocessable_data', details: { column: 'id', type: 'BIGINT' } });
    }
  });
});

describe('typed files onto a version', () => {
  const store = samplePath('superstore.parquet');
  const columnNames = (ingested: Ingested): string[] => ingested.schema.map(({ name }) => name);

  test('ING17 Parquet is cast where nothing is lost', async () => {
    const target = columns({ 'row id': 'VARCHAR', Sales: 'DOUBLE', Quantity: 'TINYINT', 'Order Date': 'TIMESTAMP' });
    const ingested = await content.ingest(store, { onto: target });
    expect(typesOf(ingested)).toMatchObject({ 'row id': 'VARCHAR', Sales: 'DOUBLE', Quantity: 'TINYINT', 'Order Date': 'TIMESTAMP' });
    expect(columnNames(ingested).slice(0, 5)).toEqual(['row id', 'Sales', 'Quantity', 'Order Date', 'Order ID']);
    const [row] = await content.rows(ingested);
    expect(row).toMatchObject({ 'row id': '1', Sales: 261.96, Quantity: 2, 'Order Date': '2016-11-08T00:00:00Z' });
  });

  test('ING18 Parquet and Arrow that would lose something are refused with both types and a sample', async () => {
    const sales = await content.ingest(store, { onto: columns({ Sales: 'DECIMAL(10,2)' }) }).catch((error) => error);
    expect(sales).toMatchObject({ code: 'unprocessable_data', details: { column: 'Sales', type: 'DECIMAL(10,2)', sourceType: 'DOUBLE' } });
    expect(sales.details.sample).toMatch(/^\d+\.\d{3,}$/);
    const date = await content.ingest(store, { onto: columns({ Quantity: 'INTEGER[]' }) }).catch((error) => error);
    expect(date).toMatchObject({ code: 'unprocessable_data', details: { column: 'Quantity', type: 'INTEGER[]', sourceType: 'INTEGER' } });
    const time = await content.ingest(samplePath('flights-200k.arrow'), { onto: columns({ time: 'TINYINT' }) }).catch((error) => error);
    expect(time).toMatchObject({ code: 'unprocessable_data', details: { column: 'time', type: 'TINYINT', sourceType: 'FLOAT' } });
    expect(await content.staged()).not.toContainEqual(expect.stringContaining('arrow'));
  });

  test('ING17 Arrow onto a version', async () => {
    const ingested = await content.ingest(samplePath('flights-200k.arrow'), { onto: columns({ delay: 'BIGINT', extra: 'DATE' }) });
    expect(typesOf(ingested)).toEqual({ delay: 'BIGINT', extra: 'DATE', distance: 'SMALLINT', time: 'FLOAT' });
    expect(ingested).toMatchObject({ format: 'arrow', missing: ['extra'], file: { rows: 200_000 } });
  });
});
