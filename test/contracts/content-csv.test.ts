import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { bytes, openTestContent, type TestContent, typesOf } from '../support/content.ts';

const CSV_LINE_BYTES_MAX = 3_000_000;
const COLUMNS_MAX = 40;
const ERRORS_MAX = 5;

let content: TestContent;

beforeAll(async () => {
  content = await openTestContent({
    columnsMax: COLUMNS_MAX,
    conversionErrorsMax: ERRORS_MAX,
    csvLineBytesMax: CSV_LINE_BYTES_MAX,
    columnNameCharsMax: 30,
  });
});

afterAll(async () => {
  await content?.close();
});

const staged: string[] = [];
afterEach(async () => {
  // Every file in the staging area is one that an ingest returned.
  expect((await content.staged()).filter((name) => !staged.includes(name))).toEqual([]);
});

async function ingest(text: string | Uint8Array, options: Parameters<TestContent['ingest']>[1] = {}) {
  const ingested = await content.ingest(typeof text === 'string' ? bytes(text) : text, options);
  if (ingested.file !== null) staged.push(ingested.file.path.split('/').at(-1) ?? '');
  return { ...ingested, types: typesOf(ingested), rows: await content.rows(ingested) };
}

const refused = (text: string, options: Parameters<TestContent['ingest']>[1] = {}) => content.ingest(bytes(text), options).catch((error) => error);

describe('types', () => {
  test('ING10 each kind of value gets its type, and no value changes', async () => {
    const lines = [
      'whole,number,flag,day,time,moment,instant,code,text,void',
      '1,1.5,true,2020-02-29,10:00,2020-01-01 10:00:00,2020-01-01T10:00:00Z,007,a,',
      '-2,1e5,FALSE,1999-12-31,23:59:59.5,2020-01-01T10:00:00.123456,2020-01-01 12:00:00+02:00,1,"b, c",',
    ];
    const { types, rows, conversion } = await ingest(`${lines.join('\n')}\n`);
    expect(types).toEqual({
      whole: 'BIGINT',
      number: 'DOUBLE',
      flag: 'BOOLEAN',
      day: 'DATE',
      time: 'TIME',
      moment: 'TIMESTAMP',
      instant: 'TIMESTAMP WITH TIME ZONE',
      code: 'VARCHAR',
      text: 'VARCHAR',
      void: 'VARCHAR',
    });
    expect(rows[1]).toEqual({
      whole: -2,
      number: 100_000,
      flag: false,
      day: '1999-12-31',
      time: '23:59:59.5',
      moment: '2020-01-01T10:00:00.123456Z',
      instant: '2020-01-01T10:00:00Z',
      code: '1',
      text: 'b, c',
      void: null,
    });
    expect(conversion).toEqual({ status: 'complete', errorCount: 0, errors: [] });
  });

  test('ING10 what a type would change stays text', async () => {
    const cases: Readonly<Record<string, readonly string[]>> = {
      leadingZero: ['007', '8'],
      beyond64Bits: ['9223372036854775808', '1'],
      longWholeAmongDecimals: ['12345678901234567890', '1.5'],
      yesNo: ['yes', 'no'],
      noDay: ['2021-02-29', '2021-02-28'],
      nanoseconds: ['2020-01-01 10:00:00.123456789', '2020-01-01 10:00:00'],
      mixedZones: ['2020-01-01T10:00:00Z', '2020-01-01T10:00:00'],
      thousands: ['1_000', '2_000'],
      plus: ['+5', '6'],
    };
    for (const [name, values] of Object.entries(cases)) {
      const { types, rows } = await ingest([name, ...values, ''].join('\n'));
      expect(types, name).toEqual({ [name]: name === 'plus' ? 'DOUBLE' : 'VARCHAR' });
      if (name !== 'plus') expect(rows, name).toEqual(values.map((value) => ({ [name]: value })));
    }
  });

  test('ING10 the edges of 64 bits stay exact', async () => {
    const { types, rows } = await ingest('n\n9223372036854775807\n-9223372036854775808\n9007199254740993\n1\n');
    expect(types).toEqual({ n: 'BIGINT' });
    expect(rows.map(({ n }) => n)).toEqual(['9223372036854775807', '-9223372036854775808', '9007199254740993', 1]);
  });

  test('ING10 a value far behind the sample decides as well', async () => {
    const many = Array.from({ length: 30_000 }, (_unused, index) => `${index},,2020-01-01,${index},2020-01-01,${index},x`);
    const last = '1.5,5,2020-01-01 10:00:00,007,2020-01-02,99999999999999999999,';
    const { types, rows, conversion } = await ingest(['a,b,c,d,e,f,g', ...many, last, ''].join('\n'));
    expect(types).toEqual({ a: 'DOUBLE', b: 'BIGINT', c: 'TIMESTAMP', d: 'VARCHAR', e: 'DATE', f: 'VARCHAR', g: 'VARCHAR' });
    const expected = { a: 1.5, b: 5, c: '2020-01-01T10:00:00Z', d: '007', e: '2020-01-02', f: '99999999999999999999', g: null };
    expect(rows.at(-1)).toEqual(expected);
    expect(rows[0]).toEqual({ a: 0, b: null, c: '2020-01-01T00:00:00Z', d: '0', e: '2020-01-01', f: '0', g: 'x' });
    expect(conversion.status).toBe('complete');
  });

  test('ING11 dates of other orders are read where day and month can be told apart', async () => {
    const text =
      'dayFirst,monthFirst,either,year,dots,named\n13/02/2020,02/13/2020,01/02/2020,2020/1/2,31.12.2020,Jan 1 2000\n1/2/2020,1/2/2020,3/4/2020,2020/12/12,1.2.2020,Feb 29 2000\n';
    const { types, rows } = await ingest(text);
    expect(types).toEqual({ dayFirst: 'DATE', monthFirst: 'DATE', either: 'VARCHAR', year: 'DATE', dots: 'DATE', named: 'DATE' });
    expect(rows).toEqual([
      { dayFirst: '2020-02-13', monthFirst: '2020-02-13', either: '01/02/2020', year: '2020-01-02', dots: '2020-12-31', named: '2000-01-01' },
      { dayFirst: '2020-02-01', monthFirst: '2020-01-02', either: '3/4/2020', year: '2020-12-12', dots: '2020-02-01', named: '2000-02-29' },
    ]);
  });
});

describe('dialects', () => {
  test('ING9 any of the delimiters, quotes with delimiters, quotes and line breaks in them', async () => {
    for (const delimiter of [',', ';', '\t', '|']) {
      const text = [
        ['a', 'b'],
        ['1', `"x${delimiter}""y""\nz"`],
        ['2', 'w'],
      ]
        .map((fields) => fields.join(delimiter))
        .join('\n');
      const { rows, format } = await ingest(text);
      expect(rows).toEqual([
        { a: 1, b: `x${delimiter}"y"\nz` },
        { a: 2, b: 'w' },
      ]);
      expect(format).toBe(delimiter === '\t' ? 'tsv' : 'csv');
    }
  });

  test('ING9 an empty field is NULL, an empty pair of quotes is an empty text or NULL', async () => {
    const { rows } = await ingest('text,number\n"",""\n,\nx,1\n');
    expect(rows).toEqual([
      { text: '', number: null },
      { text: null, number: null },
      { text: 'x', number: 1 },
    ]);
  });

  test('ING9 blank lines before the header and between rows are skipped; in one column they are NULL', async () => {
    expect((await ingest('\r\n\r\na,b\r\n1,2\r\n\r\n3,4\r\n')).rows).toEqual([
      { a: 1, b: 2 },
      { a: 3, b: 4 },
    ]);
    expect((await ingest('a\n1\n\n2\n')).rows).toEqual([{ a: 1 }, { a: null }, { a: 2 }]);
  });

  test('ING13 every kind of line break, mixed ones too, and those within quotes stay', async () => {
    for (const end of ['\n', '\r\n', '\r']) {
      expect((await ingest(`a,b${end}1,x${end}2,y${end}`)).rows).toEqual([
        { a: 1, b: 'x' },
        { a: 2, b: 'y' },
      ]);
    }
    const mixed = await ingest('a,b\r\n1,x\n2,"y\r\nq ""r"""\r\n3,z\n');
    expect(mixed.rows).toEqual([
      { a: 1, b: 'x' },
      { a: 2, b: 'y\r\nq "r"' },
      { a: 3, b: 'z' },
    ]);
  });

  test('ING13 UTF-8 and UTF-16 with byte order marks', async () => {
    const text = 'name,city\nZoë,東京 😀\n';
    const little = Buffer.from(text, 'utf16le');
    const encoded = [
      Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text)]),
      Buffer.concat([Buffer.from([0xff, 0xfe]), little]),
      Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(little).swap16()]),
    ];
    for (const file of encoded) expect((await ingest(file)).rows).toEqual([{ name: 'Zoë', city: '東京 😀' }]);
    const broken = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('a\n', 'utf16le'), Buffer.from([0x00, 0xd8, 0x41, 0x00])]);
    await expect(content.ingest(broken)).rejects.toMatchObject({ code: 'unprocessable_data' });
  });

  test('ING12 a long line is read up to the limit, and refused with its byte beyond', async () => {
    const { rows } = await ingest(`a,b\n1,${'x'.repeat(2_500_000)}\n2,y\n`);
    expect(rows.map(({ b }) => String(b).length)).toEqual([2_500_000, 1]);
    const error = await refused(`a,b\n0,w\n1,${'x'.repeat(40_000_000)}\n2,y\n`);
    expect(error).toMatchObject({ code: 'unprocessable_data', details: { bytesMax: CSV_LINE_BYTES_MAX } });
  });
});

describe('faults', () => {
  test('ING7 broken rows are rejected one by one, with line, byte and reason', async () => {
    const latin = Buffer.from('1,x\n2,caf\xe9,3\n', 'latin1');
    const file = Buffer.concat([
      Buffer.from('a,b,c\n1,x,1\n2,y\n3,z,3,4\n'),
      Buffer.from('4,"w"v,4\n'),
      Buffer.from('5,'),
      Buffer.from([0xff]),
      Buffer.from(',5\n6,u,6\n'),
    ]);
    const { rows, conversion, types } = await ingest(file);
    expect(rows).toEqual([
      { a: 1, b: 'x', c: 1 },
      { a: 6, b: 'u', c: 6 },
    ]);
    expect(types).toEqual({ a: 'BIGINT', b: 'VARCHAR', c: 'BIGINT' });
    expect(conversion).toMatchObject({ status: 'partial', errorCount: 4 });
    expect(conversion.errors.map(({ line }) => line)).toEqual([3, 4, 5, 6]);
    for (const { byte, reason } of conversion.errors) {
      expect(byte).toBeGreaterThanOrEqual(file.indexOf('2,y'));
      expect(reason).not.toBe('');
    }
    expect((await ingest(Buffer.concat([Buffer.from('a,b\n'), latin]))).conversion.status).toBe('partial');
  });

  test('ING7 an open quote rejects what it swallows', async () => {
    const { rows, conversion } = await ingest('a,b\n1,x\n2,"y\n3,z\n4,w\n');
    expect(rows).toEqual([{ a: 1, b: 'x' }]);
    expect(conversion).toMatchObject({ status: 'partial', errorCount: 1, errors: [{ line: 3 }] });
  });

  test('ING7 all faults are counted, the first are listed; positions hold in large files', async () => {
    const good = Array.from({ length: 20_000 }, (_unused, index) => `${index},${'x'.repeat(100)}`);
    const bad = Array.from({ length: 30 }, (_unused, index) => `bad ${index}`);
    const { conversion, rows } = await ingest(['a,b', ...good, ...bad, ''].join('\n'));
    expect(rows).toHaveLength(20_000);
    expect(conversion.errorCount).toBe(30);
    expect(conversion.errors).toHaveLength(ERRORS_MAX);
    expect(conversion.errors[0]?.line).toBe(20_002);
  });

  test('ING8 without a row that can be read the conversion fails and there is no file', async () => {
    const { file, conversion, schema } = await ingest('a,b,c\n1\n2\n3\n');
    expect(file).toBeNull();
    expect(conversion).toMatchObject({ status: 'failed', errorCount: 3 });
    expect(schema.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  });

  test('ING5 nothing is refused, a header alone is a table without rows', async () => {
    for (const text of ['', ' ', '\n\n \t\n', '\ufeff'])
      expect(await refused(text), JSON.stringify(text)).toMatchObject({ code: 'unprocessable_data' });
    for (const text of ['a,b', 'a,b\n', 'a,b\r\n']) {
      const { types, rows, conversion, file } = await ingest(text);
      expect(types).toEqual({ a: 'VARCHAR', b: 'VARCHAR' });
      expect(rows).toEqual([]);
      expect(conversion.status).toBe('complete');
      expect(file?.rows).toBe(0);
    }
  });

  test('ING6 names that cannot be kept are refused with their positions', async () => {
    const error = await refused(`id,ID,,__id__,__Covista_x,ok,${'n'.repeat(31)}\n1,2,3,4,5,6,7\n`);
    expect(error).toMatchObject({ code: 'unprocessable_data' });
    expect(error.details.columns.map(({ position }: { position: number }) => position)).toEqual([2, 3, 4, 5, 7]);
    expect(error.details.columns[0]).toEqual({ name: 'ID', position: 2, reason: 'duplicates column 1' });
    expect(await refused('a,b,\n1,2,\n')).toMatchObject({ code: 'unprocessable_data', details: { columns: [{ name: '', position: 3 }] } });
  });

  test('ING6 names of columns that Perspective keeps for itself are refused', async () => {
    const error = await refused('psp_okey,Psp_Pkey,psp_op,__index__,psp\n1,2,3,4,5\n');
    expect(error.details.columns.map(({ position }: { position: number }) => position)).toEqual([1, 2, 3, 4]);
  });

  test('ING6 the name that rows would lose is refused, and those that objects have are kept', async () => {
    const error = await refused('constructor,__proto__,toString,__PROTO__\n1,2,3,4\n');
    expect(error.details.columns.map(({ position }: { position: number }) => position)).toEqual([2, 4]);
    expect((await ingest('constructor,toString,proto\n1,2,3\n')).schema.map(({ name }) => name)).toEqual(['constructor', 'toString', 'proto']);
  });

  test('ING6 too many columns are refused before the rows are read, however long the header', async () => {
    for (const count of [COLUMNS_MAX + 1, 10_000, 200_000]) {
      const line = Array.from({ length: count }, (_unused, index) => `column ${index}`).join(',');
      expect(await refused(`${line}\n${line}\n`)).toMatchObject({ code: 'unprocessable_data', details: { columnsMax: COLUMNS_MAX } });
    }
    const widest = Array.from({ length: COLUMNS_MAX }, (_unused, index) => `c${index}`).join(',');
    expect((await ingest(`${widest}\n${widest}\n`)).schema).toHaveLength(COLUMNS_MAX);
  });

  test('ING2 a declared format that the content is not is refused', async () => {
    for (const format of ['tsv', 'json', 'ndjson', 'parquet', 'arrow'] as const) {
      const error = await refused('a,b\n1,2\n', { format });
      expect(error).toMatchObject({ code: 'unprocessable_data', details: { declared: format, actual: 'csv' } });
    }
    expect(await refused('a\tb\n1\t2\n', { format: 'csv' })).toMatchObject({ details: { declared: 'csv', actual: 'tsv' } });
    expect((await ingest('a\n1\n', { format: 'tsv' })).format).toBe('tsv');
  });
});
