import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Content, type ContentStore, UNRESTRICTED } from '../../server/storage/content-store.ts';
import { scopedRelation } from '../../server/storage/parquet/relation.ts';
import { createRewriter } from '../../server/storage/parquet/rewrite.ts';
import { contentOf, openWorkshop, type ParquetWorkshop, type TypedColumn } from '../support/parquet.ts';

const COLUMNS: readonly TypedColumn[] = [
  { name: 'id', type: 'BIGINT' },
  { name: 'v', type: 'VARCHAR' },
];

let workshop: ParquetWorkshop;
let rewrite: ContentStore['rewrite'];
const control = { signal: new AbortController().signal };

beforeAll(async () => {
  workshop = await openWorkshop();
  rewrite = createRewriter(workshop);
});

afterAll(() => workshop.close());

const version = async (...selects: string[]): Promise<Content> => {
  const files = [];
  for (const select of selects) files.push(await workshop.file(select, COLUMNS));
  return contentOf(COLUMNS, files);
};
const staged = (): Promise<string[]> => readdir(join(workshop.directory, 'staging'));

test('DIFF11 thousands of updated rows keep their place among those that stay', async () => {
  const rows = 250_000;
  const base = await version(`SELECT range * 7919 % 1000003 AS id, 'old' AS v FROM range(${rows})`);
  const incoming = await version(`SELECT range * 7919 % 1000003 AS id, 'new' AS v FROM range(0, ${rows + 30}, 3) ORDER BY hash(range + 1)`);
  const { pieces, updated, inserted } = await rewrite(base, { ...incoming, missing: [] }, ['id'], 'upsert', control);
  expect({ pieces: pieces.length, updated, inserted }).toEqual({ pieces: 2, updated: Math.ceil(rows / 3), inserted: 10 });
  const files = pieces.filter((piece) => typeof piece !== 'number');
  const { sql } = scopedRelation({ content: contentOf(COLUMNS, files), scope: UNRESTRICTED }, { positions: true });
  const wrong = await workshop.rows(`SELECT count(*) AS rows FROM (${sql}) r WHERE "__covista_file" = 0
    AND (id <> "__covista_row" * 7919 % 1000003 OR v <> CASE WHEN "__covista_row" % 3 = 0 THEN 'new' ELSE 'old' END)`);
  expect(wrong).toEqual([{ rows: 0 }]);
});

test('DIFF13 keys of an upload that are NULL or twice there are named, and nothing is left', async () => {
  const base = await version("SELECT range AS id, 'x' AS v FROM range(10)");
  const before = await staged();
  const bad = async (select: string, problem: string, keys: unknown[]): Promise<void> => {
    const incoming = { ...(await version(select)), missing: [] };
    for (const mode of ['upsert', 'delete'] as const) {
      await expect(rewrite(base, incoming, ['id'], mode, control)).rejects.toMatchObject({
        code: 'unprocessable_data',
        details: { side: 'file', columns: ['id'], problem, keys },
      });
    }
  };
  await bad("SELECT CASE WHEN range = 1 THEN NULL ELSE range END AS id, 'y' AS v FROM range(3)", 'null', [{ id: null }]);
  await bad("SELECT range % 4 AS id, 'y' AS v FROM range(6)", 'duplicate', [{ id: 0 }, { id: 1 }]);
  expect(await staged()).toEqual(before);
});

test('DIFF13 a key column that the upload or the version lacks is named', async () => {
  const base = await version("SELECT range AS id, 'x' AS v FROM range(10)");
  const incoming = await version("SELECT NULL AS id, 'y' AS v");
  const refused = (side: string, columns: string[]) => ({ code: 'unprocessable_data', details: { side, columns } });
  await expect(rewrite(base, { ...incoming, missing: ['id'] }, ['id'], 'upsert', control)).rejects.toMatchObject(refused('file', ['id']));
  await expect(rewrite(base, { ...incoming, missing: [] }, ['w'], 'delete', control)).rejects.toMatchObject(refused('version', ['w']));
});

test('a rewrite that is cancelled leaves no file', async () => {
  const base = await version("SELECT range AS id, 'x' AS v FROM range(1000)", "SELECT range AS id, 'x' AS v FROM range(1000, 2000)");
  const incoming = { ...(await version("SELECT range AS id, 'y' AS v FROM range(0, 2000, 7)")), missing: [] };
  const before = await staged();
  const abort = new AbortController();
  const onProgress = ({ done }: { done: number }): void => {
    if (done === 1) abort.abort();
  };
  await expect(rewrite(base, incoming, ['id'], 'upsert', { signal: abort.signal, onProgress })).rejects.toMatchObject({ code: 'cancelled' });
  expect(await staged()).toEqual(before);
});
