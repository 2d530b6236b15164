import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Limits } from '../../protocol/limits.ts';
import { type Change, type Content, type ContentFile, type Scope, UNRESTRICTED } from '../../server/storage/content-store.ts';
import { createDiffer, type Differ } from '../../server/storage/parquet/diff.ts';
import { openWorkshop, type ParquetWorkshop, type TypedColumn } from './parquet.ts';

/** The columns of small versions to compare. */
export const COLUMNS: readonly TypedColumn[] = [
  { name: 'id', type: 'INTEGER' },
  { name: 'v', type: 'VARCHAR' },
];

export interface Asked {
  readonly from: Content;
  readonly to: Content;
  /** Absent: `id`. */
  readonly key?: readonly string[] | null;
  readonly scope?: Scope;
}

export interface DiffBench {
  readonly workshop: ParquetWorkshop;
  /** A differ that knows nothing yet. */
  open(overrides?: Partial<Limits>): Promise<Differ>;
  /** A file of rows `[id, v]`. */
  file(rows: readonly (readonly [number | null, string])[]): Promise<ContentFile>;
  close(): Promise<void>;
}

export async function openDiffBench(): Promise<DiffBench> {
  const workshop = await openWorkshop();
  const differs: Differ[] = [];
  return {
    workshop,
    open: async (overrides = {}) => {
      const { broker, limits, log } = workshop;
      const directory = join(workshop.directory, `differ-${differs.length}`);
      await mkdir(directory);
      const differ = await createDiffer({ broker, log, limits: { ...limits, ...overrides }, directory });
      differs.push(differ);
      return differ;
    },
    file: (rows) => {
      const values = rows.map(([id, v]) => `(${id ?? 'NULL'}::INTEGER, '${v}')`).join(', ');
      return workshop.file(`SELECT * FROM (VALUES ${values}) t(id, v)`, COLUMNS);
    },
    close: async () => {
      for (const differ of differs) await differ.close();
      await workshop.close();
    },
  };
}

const control = { signal: new AbortController().signal };

/** All changes, which one page has to hold. */
export async function changesOf(differ: Differ, { from, to, key = ['id'], scope = UNRESTRICTED }: Asked): Promise<Change[]> {
  const result = await differ.diff({ content: from, scope }, { content: to, scope }, key, control);
  const changes = await result.page(0, 10_000, control);
  if (changes.length !== result.changes) throw new Error(`a page of ${changes.length} of ${result.changes} changes`);
  return changes;
}
