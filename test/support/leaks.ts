import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect } from 'vitest';
import type { ScopedReader } from './scope-world.ts';

/** How a hidden value looks in bytes: as text, and of a number in the formats that hold numbers. */
export function tracesOf(hidden: string | number): Buffer[] {
  if (typeof hidden === 'string') return [Buffer.from(hidden), Buffer.from(hidden.toLowerCase()), Buffer.from(hidden, 'utf16le')];
  const [integer, double] = [Buffer.alloc(8), Buffer.alloc(8)];
  integer.writeBigInt64LE(BigInt(hidden));
  double.writeDoubleLE(hidden);
  const packed = Buffer.alloc(4);
  packed.writeUInt32BE(hidden);
  return [Buffer.from(String(hidden)), integer.subarray(0, 4), double, packed];
}

export function expectNoTrace(reader: ScopedReader, asked: unknown, bytes: Uint8Array): void {
  const content = Buffer.from(bytes);
  const found = reader.hidden.filter((hidden) => tracesOf(hidden).some((trace) => content.includes(trace)));
  if (found.length > 0)
    expect.fail(`${reader.subject} asked ${JSON.stringify(asked)} and found ${found.join(', ')} in ${content.toString('latin1').slice(0, 2_000)}`);
}

/** What a Parquet file says to a reader, with the names and bounds in its metadata. */
export async function parquetText(bytes: Uint8Array): Promise<Uint8Array> {
  const directory = await mkdtemp(join(tmpdir(), 'covista-test-leaks-'));
  const path = join(directory, 'download.parquet');
  await writeFile(path, bytes);
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const texts: string[] = [];
  for (const read of ['read_parquet', 'parquet_metadata', 'parquet_schema', 'parquet_kv_metadata']) {
    texts.push(JSON.stringify((await connection.runAndReadAll(`SELECT t::VARCHAR FROM ${read}('${path}') t`)).getRows()));
  }
  connection.closeSync();
  instance.closeSync();
  await rm(directory, { recursive: true, force: true });
  return Buffer.from(texts.join('\n'));
}
