import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytes, openTestContent, type TestContent, typesOf } from '../support/content.ts';

let content: TestContent;

beforeAll(async () => {
  content = await openTestContent({ columnsMax: 40, conversionErrorsMax: 5 });
});

afterAll(async () => {
  await content?.close();
});

async function ingest(text: string | Uint8Array, options: Parameters<TestContent['ingest']>[1] = {}) {
  const ingested = await content.ingest(typeof text === 'string' ? bytes(text) : text, options);
  return { ...ingested, types: typesOf(ingested), rows: ingested.file === null ? [] : await content.rows(ingested) };
}

const refused = (text: string, options: Parameters<TestContent['ingest']>[1] = {}) => content.ingest(bytes(text), options).catch((error) => error);

describe('shapes', () => {
  test('ING1 arrays, single objects, lines, and objects one behind the other', async () => {
    const rows = [{ a: 1 }, { a: 2 }];
    expect(await ingest('[{"a":1},{"a":2}]')).toMatchObject({ format: 'json', rows });
    expect(await ingest('\ufeff [\n {"a":1},\n {"a":2}\n]\n')).toMatchObject({ format: 'json', rows });
    expect(await ingest('{"a":1}\n\n{"a":2}')).toMatchObject({ format: 'ndjson', rows });
    expect(await ingest('{\n"a":1}{\n"a":2}\n')).toMatchObject({ format: 'ndjson', rows });
    expect(await ingest('{"a":1,\n"b":{"c":[1]}}')).toMatchObject({ format: 'json', rows: [{ a: 1, b: { c: [1] } }] });
    const wide = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('[{"a":"é"}]', 'utf16le')]);
    expect(await ingest(wide)).toMatchObject({ rows: [{ a: 'é' }] });
  });

  test('ING1 an object that is larger than the sample, with line breaks before its parts, is one object', async () => {
    const features = Array.from({ length: 8_000 }, (_unused, id) => ({ type: 'Feature', id }));
    const text = `{"type":"Collection","features":[\n${features.map((feature) => JSON.stringify(feature)).join(',\n')}\n]}`;
    const { format, rows } = await ingest(text);
    expect(format).toBe('json');
    expect(rows).toHaveLength(1);
    expect(rows[0]?.features).toHaveLength(8_000);
  });

  test('ING2 a declared format that the content is not is refused', async () => {
    expect(await refused('{"a":1}\n{"a":2}\n', { format: 'json' })).toMatchObject({ details: { declared: 'json', actual: 'ndjson' } });
    expect(await refused('[{"a":1}]', { format: 'csv' })).toMatchObject({ details: { declared: 'csv', actual: 'json' } });
    expect((await ingest('{"a":1}\n', { format: 'ndjson' })).format).toBe('ndjson');
  });
});

describe('values', () => {
  test('ING10 numbers, dates and truth values get types that change nothing', async () => {
    const values = {
      whole: [1, -1],
      big: '9007199254740993',
      number: 1.5,
      flag: true,
      day: '2020-02-29',
      moment: '2020-01-01 10:00:00',
      instant: '2020-01-01T12:00:00+02:00',
      code: '007',
      time: '10:00:00',
    };
    const line = (whole: number, others: Record<string, unknown>) => `{"whole":${whole},"big":9007199254740993,${JSON.stringify(others).slice(1)}`;
    const { big: _big, whole: _whole, ...others } = values;
    const { types, rows } = await ingest(`${line(1, others)}\n${line(-1, others)}\n`);
    expect(types).toEqual({
      whole: 'BIGINT',
      big: 'BIGINT',
      number: 'DOUBLE',
      flag: 'BOOLEAN',
      day: 'DATE',
      moment: 'TIMESTAMP',
      instant: 'TIMESTAMP WITH TIME ZONE',
      code: 'VARCHAR',
      time: 'TIME',
    });
    const moments = { moment: '2020-01-01T10:00:00Z', instant: '2020-01-01T10:00:00Z' };
    expect(rows.map(({ whole }) => whole)).toEqual([1, -1]);
    expect(rows[0]).toEqual({ ...values, ...moments, whole: 1 });
  });

  test('ING10 what no type holds exactly stays text', async () => {
    const { types, rows } = await ingest(
      '[{"a":12345678901234567890,"b":123456789012345678901234567890,"c":"2020-01-01T10:00:00.1234567","d":"2020-1-1","e":{"f":[18446744073709551615,-1]},"g":9007199254740993},{"g":1.5}]',
    );
    expect(types).toEqual({ a: 'VARCHAR', b: 'VARCHAR', c: 'VARCHAR', d: 'VARCHAR', e: 'VARCHAR', g: 'VARCHAR' });
    expect(rows[0]).toEqual({
      a: '12345678901234567890',
      b: '123456789012345678901234567890',
      c: '2020-01-01T10:00:00.1234567',
      d: '2020-1-1',
      e: '{"f":[18446744073709551615,-1]}',
      g: '9007199254740993',
    });
  });

  test('ING10 a key or a kind of value that comes late counts', async () => {
    const many = Array.from({ length: 30_000 }, (_unused, index) => `{"a":${index},"b":"2020-01-01"}`);
    const { types, rows } = await ingest([...many, '{"a":1.5,"late":true}', ''].join('\n'));
    expect(types).toEqual({ a: 'DOUBLE', b: 'DATE', late: 'BOOLEAN' });
    expect(rows.at(-1)).toEqual({ a: 1.5, b: null, late: true });
  });

  test('ING15 a nested number that a double would change leaves the column as the text that it is', async () => {
    const exact = '{"a":[9007199254740993,1.5]}';
    const { types, rows } = await ingest(
      `{"n":${exact},"inf":[1e999,1.5],"ok":[1.5,9007199254740992]}\n{"n":null,"inf":[],"ok":[0.30000000000000004]}\n`,
    );
    expect(types).toEqual({ n: 'VARCHAR', inf: 'VARCHAR', ok: 'VARCHAR' });
    expect(rows).toMatchObject([
      { n: exact, inf: '[1e999,1.5]' },
      { n: null, inf: '[]' },
    ]);
    const kept = await ingest('{"ok":[1.5,9007199254740992],"s":{"d":0.30000000000000004}}\n{"ok":null,"s":{"d":null}}\n');
    expect(kept.types).toEqual({ ok: 'DOUBLE[]', s: 'STRUCT(d DOUBLE)' });
    expect(kept.rows).toEqual([
      { ok: [1.5, 9007199254740992], s: { d: 0.30000000000000004 } },
      { ok: null, s: { d: null } },
    ]);
  });

  test('ING15 mixed kinds become text, nested values lists and structs', async () => {
    const { types, rows } = await ingest('[{"a":1,"b":[1,2],"c":{"d":null,"e":[{"f":1.5}]}},{"a":"x","b":[]},{"a":{"q":1}},{"a":null}]');
    expect(types).toEqual({ a: 'VARCHAR', b: 'BIGINT[]', c: 'STRUCT(d VARCHAR, e STRUCT(f DOUBLE)[])' });
    expect(rows).toEqual([
      { a: '1', b: [1, 2], c: { d: null, e: [{ f: 1.5 }] } },
      { a: 'x', b: [], c: null },
      { a: '{"q":1}', b: null, c: null },
      { a: null, b: null, c: null },
    ]);
  });
});

describe('faults', () => {
  test('ING14 broken lines are rejected one by one', async () => {
    const text = '{"a":1}\n{"a":\n5\n[1]\n{"a":3}\n{"a":"\\ud800"}\nnull\n{"a":4}';
    const { rows, conversion } = await ingest(text);
    expect(rows).toEqual([{ a: 1 }, { a: 3 }, { a: 4 }]);
    expect(conversion).toMatchObject({ status: 'partial', errorCount: 5 });
    expect(conversion.errors.map(({ line, byte }) => [line, byte])).toEqual([
      [2, text.indexOf('{"a":\n')],
      [3, text.indexOf('5\n')],
      [4, text.indexOf('[1]')],
      [6, text.indexOf('{"a":"\\ud')],
      [7, text.indexOf('null')],
    ]);
    expect((await ingest('{"a":\n{"a":2}\n{"a":3}\n')).rows).toEqual([{ a: 2 }, { a: 3 }]);
  });

  test('ING14 an array that breaks off, or has other values, gives its objects', async () => {
    const cut = await ingest('[{"a":1},\n{"a":"},{"},\n{"a');
    expect(cut.rows).toEqual([{ a: '1' }, { a: '},{' }]);
    expect(cut.conversion).toMatchObject({ status: 'partial', errorCount: 1, errors: [{ line: 3 }] });
    expect((await ingest('[{"a":1},2,{"a":3},]')).rows).toEqual([{ a: 1 }, { a: 3 }]);
    const invalid = Buffer.concat([Buffer.from('[{"a":"'), Buffer.from([0xff]), Buffer.from('"},{"a":"y"}]')]);
    expect(await ingest(invalid)).toMatchObject({ rows: [{ a: 'y' }], conversion: { status: 'partial', errorCount: 1 } });
  });

  test('ING14 what is not tabular fails with reasons', async () => {
    for (const text of ['[1,2,3]', '["a","b"]', '[[1,2],[3,4]]', '[null]', '{"a":1', '[{}]']) {
      const { conversion, file } = await ingest(text);
      expect(file, text).toBeNull();
      expect(conversion.status, text).toBe('failed');
      expect(conversion.errors.length, text).toBeGreaterThan(0);
    }
    const { conversion } = await ingest(`[${Array.from({ length: 30 }, (_unused, index) => index).join()}]`);
    expect(conversion.errorCount).toBe(30);
    expect(conversion.errors).toHaveLength(5);
  });

  test('ING5 an empty array is refused', async () => {
    for (const text of ['[]', ' [ ] ']) expect(await refused(text)).toMatchObject({ code: 'unprocessable_data' });
  });

  test('ING6 keys that cannot be column names are refused, though DuckDB would rename them', async () => {
    for (const text of ['[{"a":1,"A":2}]', '[{"a":1},{"A":2}]', '[{"":1,"b":2}]', '[{"__ID__":1}]', '[{"a\\u0000b":1}]']) {
      expect(await refused(text), text).toMatchObject({ code: 'unprocessable_data' });
    }
    expect((await ingest('[{"C0":1,"b_1":2,"b":3}]')).rows).toEqual([{ C0: 1, b_1: 2, b: 3 }]);
    const wide = JSON.stringify([Object.fromEntries(Array.from({ length: 41 }, (_unused, index) => [`k${index}`, index]))]);
    expect(await refused(wide)).toMatchObject({ code: 'unprocessable_data', details: { columnsMax: 40 } });
  });

  test('ING22 arrays and objects deep within each other are refused, since the engine would end the process', async () => {
    const arrays = (deep: number): string => `{"a":${'['.repeat(deep)}${']'.repeat(deep)}}`;
    const objects = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
    const deep = [`[${arrays(100_000)}]`, arrays(100_000), objects, `{"a":1}\n${objects}\n`, `{"a":"broken\n${arrays(100_000)}\n{"a":1}`];
    for (const text of deep) expect(await refused(text), text.slice(0, 20)).toMatchObject({ code: 'unprocessable_data', details: { depthMax: 16 } });
    expect((await ingest(arrays(15))).conversion.status).toBe('complete');
    expect((await ingest(JSON.stringify({ a: arrays(100), b: '\\"[' }))).rows).toEqual([{ a: arrays(100), b: '\\"[' }]);
    const broken = '{"a":\n'.repeat(100);
    expect((await ingest(`{"a":1}\n${broken}`)).conversion).toMatchObject({ status: 'partial', errorCount: 100 });
  });

  test('ING14 one key twice in an object never silently loses a value', async () => {
    const outcome = await ingest('[{"a":1,"a":2}]').catch((error) => error);
    expect([outcome.conversion?.status, outcome.code]).toContain(outcome instanceof Error ? 'unprocessable_data' : 'failed');
  });
});
