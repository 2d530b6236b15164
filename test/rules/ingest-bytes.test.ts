import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sampleCsv } from '../../server/storage/parquet/csv-sample.ts';
import { detectCompression, detectContent } from '../../server/storage/parquet/detect.ts';
import { zstdFrames } from '../../server/storage/parquet/zstd-frames.ts';
import { decodeLz4Frame } from '../../server/workers/lz4-frame.ts';
import { bytes } from '../support/content.ts';
import { lz4Frame } from '../support/lz4.ts';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'covista-test-bytes-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('LZ4 frames', () => {
  const text = fc.array(fc.constantFrom('abcd', 'abc', 'x', '\0\0\0\0\0\0\0\0'), { maxLength: 300 }).map((parts) => bytes(parts.join('')));

  test('ING21 come back as they were, within the bound', () => {
    fc.assert(
      fc.property(text, (data) => {
        expect(Buffer.from(decodeLz4Frame(lz4Frame(data), 10_000)).equals(Buffer.from(data))).toBe(true);
      }),
    );
    expect(() => decodeLz4Frame(lz4Frame(new Uint8Array(5000)), 4999)).toThrow(RangeError);
  });

  test('ING21 are decoded as the reference writes them: stored blocks, content size, checksums', () => {
    const stored = Buffer.concat([Buffer.from('04224d18604073', 'hex'), Buffer.from([5, 0, 0, 0x80]), bytes('hello'), Buffer.alloc(4)]);
    expect(Buffer.from(decodeLz4Frame(stored, 100)).toString()).toBe('hello');
    const sized = Buffer.concat([
      Buffer.from('04224d187c400500000000000000aa', 'hex'),
      Buffer.from([5, 0, 0, 0x80]),
      bytes('hello'),
      Buffer.alloc(4),
      Buffer.alloc(8),
    ]);
    expect(Buffer.from(decodeLz4Frame(sized, 100)).toString()).toBe('hello');
  });

  test('ING21 that are broken are an error, never a crash or wrong bytes', () => {
    fc.assert(
      fc.property(text, fc.nat(), fc.nat(255), (data, position, value) => {
        const frame = Buffer.from(lz4Frame(data));
        frame[position % frame.length] = value;
        try {
          decodeLz4Frame(frame, 100_000);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});

describe('zstd frames', () => {
  test('ING3 are found, also behind others, and cut ones are told', async () => {
    const path = join(directory, 'frames');
    const content = fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.nat(1000));
    await fc.assert(
      fc.asyncProperty(fc.array(content, { minLength: 1, maxLength: 4 }), fc.boolean(), async (contents, isCut) => {
        const frames = contents.map(([seed, repeat]) => zstdCompressSync(Buffer.concat(Array.from({ length: repeat + 1 }, () => seed))));
        const file = Buffer.concat([...frames, Buffer.from([0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9])]);
        await writeFile(path, isCut ? Buffer.concat(frames).subarray(0, -1) : file);
        const kinds: string[] = [];
        for await (const { kind } of zstdFrames(path)) kinds.push(kind);
        const whole = frames.map(() => 'whole');
        expect(kinds).toEqual(isCut ? [...whole.slice(1), 'cut'] : [...whole, 'skippable']);
      }),
    );
  });
});

describe('detection', () => {
  test('ING1 by content', () => {
    const cases: Readonly<Record<string, string>> = {
      'a,b\n1,2\n': 'delimited',
      '{"a":1}': 'json',
      ' [ {"a":1}]': 'json',
      '[1]': 'json',
      '{"a":1}\n{"a":2}': 'ndjson',
      '{"a":"}\\"{"}{"b":1}': 'ndjson',
      '{"a":\n{"a":2}\n{"a":3}\n': 'ndjson',
      '[a],b\n1,2\n': 'delimited',
      '{a},b\n1,2\n': 'delimited',
      PAR1: 'parquet',
      'ARROW1\0\0': 'arrow',
    };
    for (const [text, kind] of Object.entries(cases)) expect(detectContent(bytes(text)), text).toBe(kind);
    expect(detectContent(Uint8Array.from([255, 255, 255, 255, 8]))).toBe('arrow');
    expect(detectCompression(Uint8Array.from([0x1f, 0x8b, 8]))).toBe('gzip');
    expect(() => detectContent(Uint8Array.from({ length: 100 }, (_unused, index) => index % 20))).toThrow();
  });
});

describe('a CSV sample', () => {
  const field = fc.oneof(fc.constantFrom(null, '', 'x', 'a b', '1.5'), fc.stringMatching(/^[a-z,;"\n\r| ]{0,12}$/));
  const write = (value: string | null, delimiter: string): string =>
    value === null ? '' : /^[a-z0-9.]+(?: [a-z]+)*$/.test(value) && !value.includes(delimiter) ? value : `"${value.replaceAll('"', '""')}"`;

  test('ING9 reads back what was written', () => {
    const table = fc
      .integer({ min: 2, max: 5 })
      .chain((columns) => fc.array(fc.array(field, { minLength: columns, maxLength: columns }), { maxLength: 10 }));
    fc.assert(
      fc.property(table, fc.constantFrom(',', ';', '\t', '|'), fc.constantFrom('\n', '\r\n'), (rows, delimiter, end) => {
        const columns = rows[0]?.length ?? 3;
        const header = Array.from({ length: columns }, (_unused, index) => `name${index}`);
        const text = [header, ...rows].map((row) => row.map((value) => write(value, delimiter)).join(delimiter) + end).join('');
        const sample = sampleCsv(text, true);
        expect(sample?.delimiter).toBe(delimiter);
        expect(sample?.header).toEqual(header);
        expect(sample?.rows).toEqual(rows);
        expect(sample?.clean).toBe(true);
        expect(sample?.mixedNewlines).toBe(false);
      }),
    );
  });

  test('ING7 tells rows that are not well formed', () => {
    for (const text of ['a,b\n1\n', 'a,b\n1,2,3\n', 'a,b\n1,"x"y\n', 'a,b\n1,"x\n']) expect(sampleCsv(text, true)?.clean, text).toBe(false);
    expect(sampleCsv('a,b\n1,2,\n', true)?.clean).toBe(true);
  });

  test('ING9 leaves out the row that the sample cuts', () => {
    expect(sampleCsv('a,b\n1,2\n3,4', false)?.rows).toEqual([['1', '2']]);
    expect(sampleCsv('a,b\n1,2\n3,', false)?.rows).toEqual([['1', '2']]);
    expect(sampleCsv('a,b', false)).toBeUndefined();
  });
});
