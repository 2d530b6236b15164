import { watch } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { makeVector, Table, tableToIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestContent, type TestContent } from '../support/content.ts';
import { samplePath } from '../support/samples.ts';
import { mountSmallDisk, runWithFileLimit } from '../support/small-disk.ts';

const DISK_BYTES = 600_000;

let uploads: string;
const files: Record<string, string> = {};

/** Uploads of every kind whose data files, or what has to be written on the way, are larger than the disk. */
beforeAll(async () => {
  uploads = await mkdtemp(join(tmpdir(), 'covista-test-room-'));
  const noise = (index: number): string => `${Math.sin(index)}`;
  const csv = `a,b\n${Array.from({ length: 100_000 }, (_unused, index) => `${index},${noise(index)}`).join('\n')}\n`;
  const contents: Record<string, Uint8Array> = {
    csv: Buffer.from(csv),
    gzip: gzipSync(csv),
    utf16: Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(csv, 'utf16le')]),
    mixed: Buffer.from(csv.replace('\n', '\r\n')),
    json: Buffer.from(`[${Array.from({ length: 100_000 }, (_unused, index) => `{"a":${index},"b":"${noise(index)}"}`).join(',')}]`),
    broken: Buffer.from(`${Array.from({ length: 100_000 }, (_unused, index) => `{"a":${index},"b":"${noise(index)}"}`).join('\n')}\n{`),
    arrow: tableToIPC(new Table({ a: makeVector(Float64Array.from({ length: 120_000 }, (_unused, index) => Math.sin(index))) })),
  };
  for (const [name, bytes] of Object.entries(contents)) {
    files[name] = join(uploads, name);
    await writeFile(files[name], bytes);
  }
  files.parquet = samplePath('flights-3m.parquet');
});

afterAll(async () => {
  await rm(uploads, { recursive: true, force: true });
});

async function withContent([limits, places]: Parameters<typeof openTestContent>, work: (content: TestContent) => Promise<void>): Promise<void> {
  const content = await openTestContent(limits, { ...places, readable: [uploads] });
  try {
    await work(content);
  } finally {
    await content.close();
  }
}

describe('an ingest that cannot end', () => {
  test('ING20 that is cancelled before it starts or while it writes leaves nothing', async () => {
    await withContent([], async (content) => {
      for (const [name, path] of Object.entries(files)) {
        const aborted = content.ingest(path, {}, { signal: AbortSignal.abort() });
        await expect(aborted, name).rejects.toMatchObject({ code: 'cancelled' });
        const controller = new AbortController();
        const watcher = watch(join(content.directory, 'staging'), () => controller.abort());
        const outcome = await content.ingest(path, {}, { signal: controller.signal }).then(
          ({ file }) => file?.path,
          (error) => error.code,
        );
        watcher.close();
        // The first sign of writing may come when there is nothing left to cancel.
        if (outcome?.startsWith('/') === true) await rm(outcome);
        else expect(outcome, name).toBe('cancelled');
        expect(await content.staged(), name).toEqual([]);
      }
    });
  });

  test('ING20 that takes too long leaves nothing', async () => {
    await withContent([{ commitTimeoutMs: 1 }], async (content) => {
      for (const name of ['csv', 'arrow', 'parquet']) {
        await expect(content.ingest(files[name] ?? ''), name).rejects.toMatchObject({ code: 'timeout' });
        expect(await content.staged(), name).toEqual([]);
      }
    });
  });

  test('ING20 for which memory does not suffice leaves nothing, and the next one works', async () => {
    await withContent([{ duckdbMemoryBytes: 40_000_000, duckdbSpillBytesMax: 1_000_000 }], async (content) => {
      await expect(content.ingest(files.parquet ?? '')).rejects.toMatchObject({ code: 'memory_limit' });
      expect(await content.staged()).toEqual([]);
      expect(await content.ingest(samplePath('seattle-weather.csv'))).toMatchObject({ file: { rows: 1461 } });
    });
  });

  test('ING20 for which there is no room leaves nothing, and the next one works', async () => {
    const disk = await mountSmallDisk(DISK_BYTES);
    if (disk === undefined) {
      const outcomes: unknown = JSON.parse(
        await runWithFileLimit(join(import.meta.dirname, '../support/ingest-in-child.ts'), DISK_BYTES, Object.values(files)),
      );
      expect(outcomes).toEqual(Object.values(files).map(() => ['storage_full', []]));
      return;
    }
    try {
      await withContent([{}, { staging: join(disk.directory, 'staging') }], async (content) => {
        for (const [name, path] of Object.entries(files)) {
          await expect(content.ingest(path), name).rejects.toMatchObject({ code: 'storage_full' });
          expect(await readdir(join(disk.directory, 'staging')), name).toEqual([]);
        }
        expect(await content.ingest(samplePath('seattle-weather.csv'))).toMatchObject({ file: { rows: 1461 } });
      });
    } finally {
      await disk.close();
    }
  });

  test('ING20 over the size that files may have leaves nothing', async () => {
    const outcomes: unknown = JSON.parse(
      await runWithFileLimit(join(import.meta.dirname, '../support/ingest-in-child.ts'), 200_000, [files.csv ?? '', files.gzip ?? '']),
    );
    expect(outcomes).toEqual([
      ['storage_full', []],
      ['storage_full', []],
    ]);
  });
});
