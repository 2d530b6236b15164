import type { ParsedInput } from '../../protocol/define.ts';
import { CovistaError } from '../../protocol/errors.ts';
import type { DatasetId, VersionId } from '../../protocol/ids.ts';
import type { Operations } from '../../protocol/operations/index.ts';
import type { CommitRequest, CommitSource, FirstCommitRequest } from '../services/versioning/commits.ts';
import { present } from '../shared/assert.ts';
import { countThatFit, decodeCursor, encodeCursor, isIds, type PageBounds } from '../shared/cursor.ts';
import type { HistoryPage, VersionRecord, VersionStore } from '../storage/stores.ts';
import { accessOf, controlOf, mayMoveProtected } from './context.ts';
import type { CallContext, ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

type CommitOptions = Omit<ParsedInput<Operations['upload']['commit']>, 'uploadId'>;
/** What is said of a file, wherever it goes. */
type FileDescription = Pick<CommitOptions, 'message' | 'format' | 'strict' | 'sha256' | 'fileName'>;

export function versionHandlers({ stores, commits, reader, refs, previews, visible, downloads, limits }: Services): ResourceHandlers<'version'> {
  return {
    commit: async ({ restore, ...options }, context) =>
      commits.commit(commitRequest(options, await sourceOf(restore, options, context), context), controlOf(context)),
    get: async ({ datasetId, versionId }, context) =>
      visible.show(await reader.recordOfAny(datasetId, versionId), accessOf(context).scope, controlOf(context)),
    schema: async (at, context) => ({ ...at, schema: await previews.schema({ ...at, scope: accessOf(context).scope }) }),
    preview: ({ datasetId, versionId, startRow, endRow, columns }, context) => {
      if (endRow !== undefined && endRow < startRow)
        throw new CovistaError('invalid_input', 'endRow must not lie before startRow', { field: 'endRow' });
      return previews.rows({ datasetId, versionId, scope: accessOf(context).scope }, { startRow, endRow, columns }, controlOf(context));
    },
    statistics: ({ datasetId, versionId, columns }, context) =>
      previews.statistics({ datasetId, versionId, scope: accessOf(context).scope }, columns, controlOf(context)),
    download: (input, context) => downloads.download({ ...input, scope: accessOf(context).scope }, controlOf(context)),
    history: async ({ datasetId, ref, limit, cursor }, context) => {
      const frontier = cursor === undefined ? [(await refs.resolve(datasetId, ref)).versionId] : (decodeCursor(cursor, isIds) as VersionId[]);
      const { versions, frontier: rest } = await readHistory(stores.metadata.versions, datasetId, frontier, { limit, bytesMax: limits.pageBytesMax });
      const items = await visible.showAll(versions, accessOf(context).scope, controlOf(context));
      return { items, ...(rest.length > 0 ? { next: encodeCursor(rest) } : {}) };
    },
  };
}

/** Versions of the first step, which shows how large they are; the next ones are as many as their bytes allow. */
const HISTORY_BATCH = 25;
const HISTORY_BATCH_MAX = 250;

/** Versions from a frontier on, read in steps, because those of wide tables are large. */
async function readHistory(store: VersionStore, datasetId: DatasetId, start: VersionId[], bounds: PageBounds): Promise<HistoryPage> {
  const versions: VersionRecord[] = [];
  let frontier = start;
  let left = bounds.bytesMax;
  for (let batch = HISTORY_BATCH; versions.length < bounds.limit && frontier.length > 0 && left > 0; ) {
    const limit = Math.min(batch, bounds.limit - versions.length);
    const page = await store.history(datasetId, frontier, limit);
    const count = countThatFit(page.versions, { limit, bytesMax: left });
    // A page that is cut short goes on where a walk of that length ends, which in a graph is more than the next version.
    const whole = count === page.versions.length ? page : await store.history(datasetId, frontier, count);
    versions.push(...whole.versions);
    frontier = whole.frontier;
    left = whole === page ? left - Buffer.byteLength(JSON.stringify(page.versions)) : 0;
    const bytesPerVersion = (bounds.bytesMax - left) / versions.length;
    batch = Math.max(1, Math.min(HISTORY_BATCH_MAX, Math.floor(left / bytesPerVersion)));
  }
  return { versions, frontier };
}

async function sourceOf(restore: string | undefined, options: CommitOptions, { body }: CallContext): Promise<CommitSource> {
  if (restore === undefined) return { kind: 'body', body: present(body, 'the body') };
  if (options.mode !== 'replace')
    throw new CovistaError('invalid_input', 'a restore replaces the rows, so it goes with no other mode', { field: 'mode' });
  for await (const bytes of body ?? []) {
    if (bytes.length > 0) throw new CovistaError('invalid_input', 'a restore takes the rows of another version, and no bytes', { field: 'restore' });
  }
  return { kind: 'restore', ref: restore };
}

export function commitRequest(options: CommitOptions, source: CommitSource, context: CallContext): CommitRequest {
  const { datasetId, branch, mode, key, expectedHead, mergedFrom, ...file } = options;
  return {
    ...firstCommitRequest(file, source, context),
    datasetId,
    branch,
    mode,
    key: key ?? null,
    expectedHead,
    mergedFrom,
    mayMoveProtected: mayMoveProtected(context),
  };
}

/** A first upload creates main, and is all of what is there. */
export function firstCommitRequest(options: FileDescription, source: CommitSource, context: CallContext): FirstCommitRequest {
  const { message, format, strict, sha256, fileName } = options;
  return {
    branch: 'main',
    mode: 'replace',
    key: null,
    expectedHead: undefined,
    mergedFrom: undefined,
    mayMoveProtected: false,
    message,
    format,
    strict,
    sha256,
    fileName: fileName ?? null,
    source,
    provenance: context.provenance,
  };
}
