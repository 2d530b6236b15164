import type { DatasetId, VersionId } from '../../protocol/ids.ts';
import { visibleShape } from '../services/access/visible-versions.ts';
import type { DiffRequest } from '../services/versioning/diffs.ts';
import { compareSchemas } from '../services/versioning/schema-comparison.ts';
import { decodeCursor, encodeCursor, isCount, isIds } from '../shared/cursor.ts';
import { accessOf, controlOf } from './context.ts';
import type { CallContext, ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

/** Where a page of changes begins, and between which versions: refs may move between pages, the pages' versions do not. */
const isPosition = (value: unknown): value is [number, VersionId, VersionId] =>
  Array.isArray(value) && value.length === 3 && isCount(value[0]) && isIds(value.slice(1));

export function diffHandlers({ refs, reader, diffs, visible }: Services): ResourceHandlers<'diff'> {
  const resolve = async (datasetId: DatasetId, from: string, to: string): Promise<{ from: VersionId; to: VersionId }> => {
    const [before, after] = await Promise.all([refs.resolve(datasetId, from), refs.resolve(datasetId, to)]);
    return { from: before.versionId, to: after.versionId };
  };

  const requestOf = async (
    input: { datasetId: DatasetId; from: string; to: string; key?: string[] | null | undefined },
    context: CallContext,
  ): Promise<DiffRequest> => {
    const { datasetId, key } = input;
    return { datasetId, key, ...(await resolve(datasetId, input.from, input.to)), scope: accessOf(context).scope };
  };

  return {
    schema: async ({ datasetId, from, to }, context) => {
      const ids = await resolve(datasetId, from, to);
      const { scope } = accessOf(context);
      const seen = async (versionId: VersionId) => {
        const version = await reader.record(datasetId, versionId);
        return { ...visibleShape(version, scope), rows: await visible.count(version, scope, controlOf(context)) };
      };
      const [before, after] = await Promise.all([seen(ids.from), seen(ids.to)]);
      return { fromVersionId: ids.from, toVersionId: ids.to, ...compareSchemas(before, after) };
    },
    rows: async ({ limit, cursor, ...input }, context) => {
      const resolved = await requestOf(input, context);
      const [position, from, to] = cursor === undefined ? [0, resolved.from, resolved.to] : decodeCursor(cursor, isPosition);
      const { end, ...page } = await diffs.page({ ...resolved, from, to }, { position, limit }, controlOf(context));
      return end ? page : { ...page, next: encodeCursor([position + page.changes.length, from, to]) };
    },
    stream: async function* (input, context) {
      yield* diffs.stream(await requestOf(input, context), controlOf(context));
    },
  };
}
