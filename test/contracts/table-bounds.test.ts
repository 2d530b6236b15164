import type { Table, ViewConfigUpdate } from '@perspective-dev/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultLimits, type Limits } from '../../protocol/limits.ts';
import type { ScopedContent } from '../../server/storage/content-store.ts';
import { bytes, contentOfIngested, openTestContent, type TestContent, unrestricted } from '../support/content.ts';
import { duckdbEngine, openTable } from '../support/table-engines.ts';

const ROWS = 6_000;

let content: TestContent;
let source: ScopedContent;

/** A table of `id` from 0, `half` of it, and a text of a hundred characters. */
beforeAll(async () => {
  content = await openTestContent();
  const lines = Array.from({ length: ROWS }, (_unused, id) => `${id},${id >> 1},${String(id).padStart(99, '0')}x`);
  source = unrestricted(contentOfIngested(await content.ingest(bytes(`id,half,text\n${lines.join('\n')}\n`))));
});

afterAll(async () => {
  await content?.close();
});

async function withTable(limits: Partial<Limits>, use: (table: Table) => Promise<void>): Promise<void> {
  const { engine, close } = await duckdbEngine([content.directory], { ...defaultLimits, ...limits });
  try {
    const opened = await openTable(engine, 'bounds', { source, columns: null, rowLimit: null });
    await use(opened.table);
    await opened.close();
  } finally {
    await close();
  }
}

test.each<[string, ViewConfigUpdate]>([
  ['rows', { split_by: ['half'] }],
  ['sorted rows', { split_by: ['half'], sort: [['id', 'desc']] }],
  ['groups', { split_by: ['half'], group_by: ['id'] }],
])('TB15 a split of %s has as many columns as viewColumnsMax, and no more', (_kind, config) =>
  withTable({ viewColumnsMax: 11 }, async (table) => {
    const few = await table.view({ ...config, columns: ['id', 'text'], filter: [['id', '<', 10]] });
    expect(await few.num_columns()).toBe(10);
    const more = { ...config, columns: ['id', 'text'], filter: [['id', '<', 11]] } as ViewConfigUpdate;
    await expect(table.view(more)).rejects.toThrow('more than 5 columns of each kind; all of them may be at most 11 (viewColumnsMax)');
    await expect(table.view({ ...config, columns: ['id'] })).rejects.toThrow('viewColumnsMax');
    await expect(table.view({ ...config, columns: [] })).rejects.toThrow('viewColumnsMax');
    // What was refused leaves the engine as it was.
    expect(await few.num_rows()).toBeGreaterThan(0);
  }),
);
