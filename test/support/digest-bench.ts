import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Limits } from '../../protocol/limits.ts';
import { CacheCounts } from '../../server/shared/cache-counts.ts';
import { type Change, type Content, type Control, type DiffCounts, type Scope, UNRESTRICTED } from '../../server/storage/content-store.ts';
import { createDiffer, type Differ, type DifferOptions } from '../../server/storage/parquet/diff.ts';
import { contentOf, type ParquetWorkshop, type TypedColumn } from './parquet.ts';

export const calm: Control = { signal: new AbortController().signal };

/** A differ that makes digests of any rows, where they can be looked at. */
export interface DigestBench {
  readonly differ: Differ;
  /** How many diffs of any size had digests, and how many had to read cells. */
  readonly counts: CacheCounts;
  readonly directory: string;
  /** Names of the files of digests. */
  files(): Promise<string[]>;
}

/** Closed when the test is over. */
export async function openDigestBench(
  { broker, limits, log, directory: parent }: ParquetWorkshop,
  overrides: Partial<Limits> = {},
  others: Partial<DifferOptions> = {},
): Promise<DigestBench> {
  const directory = join(parent, `differ-${crypto.randomUUID()}`);
  await mkdir(directory);
  const counts = new CacheCounts();
  // One result is kept, so that a diff that is asked for again is computed again.
  const chosen = { ...limits, diffDigestRowsMin: 0, diffResultsMax: 1, ...overrides };
  const differ = await createDiffer({
    broker,
    log,
    directory,
    limits: chosen,
    counts: { diffs: new CacheCounts(), digests: counts, keyChecks: new CacheCounts() },
    ...others,
  });
  onTestFinished(() => differ.close());
  const files = async (): Promise<string[]> => readdir(join(directory, 'digests')).catch(() => []);
  return { differ, counts, directory, files };
}

/** What a diff says, page by page. */
export interface Said {
  readonly counts: DiffCounts;
  readonly changes: Change[];
}

export interface Asked {
  readonly from: Content;
  readonly to: Content;
  /** Absent: `id`. */
  readonly key?: readonly string[] | null;
  readonly scope?: Scope;
  /** Changes of a page. Absent: 10,000. */
  readonly page?: number;
}

export async function ask(differ: Differ, { from, to, key = ['id'], scope = UNRESTRICTED, page = 10_000 }: Asked): Promise<Said> {
  const result = await differ.diff({ content: from, scope }, { content: to, scope }, key, calm);
  const changes: Change[] = [];
  while (changes.length < result.changes) changes.push(...(await result.page(changes.length, page, calm)));
  return { counts: result.counts, changes };
}

/** A version of a file for each SELECT. */
export async function versionOf(workshop: ParquetWorkshop, columns: readonly TypedColumn[], ...selects: string[]): Promise<Content> {
  const files = [];
  for (const select of selects) files.push(await workshop.file(select, columns));
  return contentOf(columns, files);
}
