import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { assert } from '../../shared/assert.ts';
import { type Change, type Control, type DiffCounts, type DiffResult, type Scope, UNRESTRICTED } from '../../storage/content-store.ts';
import type { Stores, VersionRecord } from '../../storage/stores.ts';
import { visibleShape, wholeColumns } from '../access/visible-versions.ts';
import { compareSchemas } from './schema-comparison.ts';
import type { VersionReader } from './version-reader.ts';

export interface DiffRequest {
  readonly datasetId: DatasetId;
  readonly from: VersionId;
  readonly to: VersionId;
  /** Undefined: the key that the versions or the dataset have. Null: compare as a multiset. */
  readonly key: readonly string[] | null | undefined;
  readonly scope: Scope;
}

export interface DiffSummary {
  readonly fromVersionId: VersionId;
  readonly toVersionId: VersionId;
  readonly key: string[] | null;
  readonly keyChanged: boolean;
  readonly counts: DiffCounts;
  readonly columns: { readonly added: string[]; readonly removed: string[]; readonly retyped: string[] };
}

export interface Diffs {
  /** Exact counts, and the changes from `position` on. */
  page(
    request: DiffRequest,
    window: { readonly position: number; readonly limit: number },
    control: Control,
  ): Promise<DiffSummary & { readonly changes: Change[]; readonly end: boolean }>;
  /** Has made what later diffs of a large version by its key are quicker with, when there is time. */
  prepare(version: VersionRecord): Promise<void>;
  /** The summary, then every change in batches. */
  stream(request: DiffRequest, control: Control): AsyncIterable<DiffSummary | { readonly changes: Change[] }>;
}

const STREAM_BATCH = 500;

interface DiffParts {
  readonly stores: Stores;
  readonly reader: VersionReader;
  readonly limits: Limits;
}

export function createDiffs({ stores, reader, limits }: DiffParts): Diffs {
  /** The computed diff, which the caller lets go of. */
  const open = async (request: DiffRequest, control: Control): Promise<{ readonly summary: DiffSummary; readonly result: DiffResult }> => {
    const { datasetId, scope } = request;
    const [from, to] = await Promise.all([reader.record(datasetId, request.from), reader.record(datasetId, request.to)]);
    const dataset = await stores.metadata.datasets.get(datasetId);
    const sides = [from, to].map((version) => ({ version, ...visibleShape(version, scope) })) as [Side, Side];
    const key = keyFor(request, sides, dataset?.key ?? null);
    const at = { datasetId, scope };
    const [before, after] = await Promise.all([reader.scoped({ ...at, versionId: request.from }), reader.scoped({ ...at, versionId: request.to })]);
    const result = await stores.content.diff(before, after, key, control);
    return { result, summary: summarize(sides, key, result.counts) };
  };

  return {
    prepare: async ({ datasetId, versionId, rows, key }) => {
      if (rows < limits.diffDigestRowsMin) return;
      const usual = key ?? (await stores.metadata.datasets.get(datasetId))?.key ?? null;
      if (usual === null) return;
      const { content } = await reader.scoped({ datasetId, versionId, scope: UNRESTRICTED });
      stores.content.prepareDiff(content, usual);
    },
    page: async (request, { position, limit }, control) => {
      const { summary, result } = await open(request, control);
      try {
        const changes = limit === 0 ? [] : await result.page(position, limit, control);
        return { ...summary, changes, end: position + changes.length >= result.changes };
      } finally {
        result.close();
      }
    },
    stream: async function* (request, control) {
      const { summary, result } = await open(request, control);
      try {
        yield summary;
        for (let position = 0; position < result.changes; ) {
          const changes = await result.page(position, STREAM_BATCH, control);
          assert(changes.length > 0, 'a page before the end of a diff is not empty');
          position += changes.length;
          yield { changes };
        }
      } finally {
        result.close();
      }
    },
  };
}

/** A version with its columns and key as far as they are visible. */
interface Side extends Pick<VersionRecord, 'schema' | 'key'> {
  readonly version: VersionRecord;
}

/**
 * The key to compare by. One that is only a default is passed over where a version lacks its columns or hides them in some
 * rows; one asked for is not.
 */
function keyFor(request: DiffRequest, sides: readonly [Side, Side], datasetKey: string[] | null): readonly string[] | null {
  if (request.key === null) return null;
  if (request.key !== undefined) {
    for (const [index, side] of (['from', 'to'] as const).entries()) requireKey(request.key, sides[index]?.schema ?? [], side);
    return request.key;
  }
  const whole = sides.map(({ version }) => wholeColumns(version, request.scope));
  const [from, to] = sides;
  return [to.key, from.key, datasetKey].find((key) => key?.every((name) => whole.every((columns) => columns.has(name)))) ?? null;
}

function requireKey(key: readonly string[], schema: Side['schema'], side: 'from' | 'to'): void {
  const columns = key.filter((name) => !schema.some((column) => column.name === name));
  if (columns.length === 0) return;
  const named = columns.map((name) => JSON.stringify(name)).join(', ');
  throw new CovistaError('unprocessable_data', `the version of "${side}" lacks the key columns ${named}`, { side, columns });
}

function summarize([from, to]: readonly [Side, Side], key: readonly string[] | null, counts: DiffCounts): DiffSummary {
  const { added, removed, retyped, keyChanged } = compareSchemas({ ...from, rows: 0 }, { ...to, rows: 0 });
  const names = (columns: readonly { readonly name: string }[]): string[] => columns.map(({ name }) => name);
  return {
    fromVersionId: from.version.versionId,
    toVersionId: to.version.versionId,
    key: key === null ? null : [...key],
    keyChanged,
    counts,
    columns: { added: names(added), removed: names(removed), retyped: names(retyped) },
  };
}
