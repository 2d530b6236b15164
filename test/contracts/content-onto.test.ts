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

  test('ING18 numbers in floating point keep what is before the point and stay finite', async () => {
    const target = columns({ d: 'DOUBLE', f: 'FLOAT' });
    const ingested = await onto('d,f\n0.1234567890123456789,0.1\n9007199254740992,16777216\n1e5,-.5\nnan, 007 \n-Infinity,3.40282e38\n', target);
    expect((await content.rows(ingested)).map(({ d }) => d)).toEqual([0.12345678901234568, 9007199254740992, 100000, 'NaN', '-Infinity']);
    for (const [name, text] of Object.entries({ d: ['9007199254740993', '123456789012345678.5', '1e999', '1_0'], f: ['16777217', '1e39', '1_0'] })) {
      for (const sample of text) expect(await refusedOnto(`${name}\n${sample}\n`, target)).toMatchObject({ details: { column: name, sample } });
    }
  });

  test('ING18 what is within lists, structs and maps is kept as well', async () => {
    const target = columns({ l: 'INTEGER[]', s: 'STRUCT(a DECIMAL(4,1), "b c" VARCHAR, d DATE[])', m: 'MAP(VARCHAR, TINYINT)' });
    const kept = { l: [1, null, 3], s: { a: '2.5', 'b c': '', d: ['2024-01-02'] }, m: { k: 1 } };
    const csv = await onto(`l,s,m\n"[1, NULL, 3.0]","{'a': 2.50, 'b c': '', 'd': ['2024-01-02']}",{k=1}\n"",,{}\n`, target);
    expect(await content.rows(csv)).toEqual([kept, { l: null, s: null, m: {} }]);
    expect(await content.rows(await onto(JSON.stringify(kept), target))).toEqual([kept]);
    const lossy = [
      ['l', '[1, 2.7]', '{"l":[1,2.7]}'],
      ['s', "{'a': 2.75}", '{"s":{"a":2.75}}'],
      ['s', "{'d': ['2024-01-02 12:00:00']}", '{"s":{"d":["2024-01-02 12:00:00"]}}'],
      ['m', '{k=1.5}', '{"m":{"k":1.5}}'],
    ] as const;
    for (const [column, text, json] of lossy) {
      expect(await refusedOnto(`${column}\n"${text}"\n`, target)).toMatchObject({ code: 'unprocessable_data', details: { column, sample: text } });
      expect(await refusedOnto(json, target)).toMatchObject({ code: 'unprocessable_data', details: { column } });
    }
  });

  test('ING18 days before our era and without end, and nanoseconds, are read as they are written', async () => {
    const target = columns({ d: 'DATE', t: 'TIMESTAMP', z: 'TIMESTAMP WITH TIME ZONE', n: 'TIMESTAMP_NS' });
    const text = '0044-03-15 (BC),0044-03-15 (BC) 01:02:03.5,0044-03-15 (BC) 01:02:03.5+00,2024-01-01 00:00:00.123456789';
    const [before, endless] = await content.rows(await onto(`d,t,z,n\n${text}\ninfinity,-infinity,infinity,\n`, target));
    expect(before).toEqual({
      d: '-000043-03-15',
      t: '-000043-03-15T01:02:03.500Z',
      z: '-000043-03-15T01:02:03.500Z',
      n: '2024-01-01T00:00:00.123456789Z',
    });
    expect(endless).toEqual({ d: 'infinity', t: '-infinity', z: 'infinity', n: null });
    expect(await refusedOnto('n\n2024-01-01 00:00:00.1234567891\n', target)).toMatchObject({ details: { column: 'n' } });
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
