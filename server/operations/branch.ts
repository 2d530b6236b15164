import { CovistaError } from '../../protocol/errors.ts';
import { decodeCursor, isCount, isText, toPage } from '../shared/cursor.ts';
import type { BranchRecord } from '../storage/stores.ts';
import { mayMoveProtected } from './context.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

/** Protection is lifted first, by an admin and on purpose; being one is not enough. */
const LIFTED_FIRST = { expectedHead: undefined, mayMoveProtected: false };

export function branchHandlers({ stores, refs, limits }: Services): ResourceHandlers<'branch'> {
  const { pointers } = stores.metadata;
  return {
    create: async ({ datasetId, name, from }, { provenance }) =>
      pointers.createBranch(datasetId, name, (await refs.resolve(datasetId, from)).versionId, provenance),
    list: async ({ datasetId, limit, cursor }) => {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, isText);
      return toPage(
        await pointers.listBranches(datasetId, { limit: limit + 1, after }),
        { limit, bytesMax: limits.pageBytesMax },
        ({ name }) => name,
      );
    },
    get: async ({ datasetId, branch }) => {
      const pointer = await refs.pointer(datasetId, branch);
      if (pointer.kind === 'branch') return pointer;
      throw new CovistaError('not_found', `${JSON.stringify(branch)} is a tag, not a branch`, { name: branch, kind: 'tag' });
    },
    rename: ({ datasetId, branch, name }, context) => {
      if (branch === 'main') throw new CovistaError('conflict', 'main keeps its name', { name: branch });
      return pointers.renameBranch(datasetId, branch, name, LIFTED_FIRST, context.provenance);
    },
    reset: async ({ datasetId, branch, to, expectedHead, message }, context): Promise<BranchRecord> => {
      const { versionId } = await refs.resolve(datasetId, to);
      return pointers.resetBranch(
        datasetId,
        branch,
        versionId,
        message,
        { expectedHead, mayMoveProtected: mayMoveProtected(context) },
        context.provenance,
      );
    },
    delete: async ({ datasetId, branch, expectedHead }, context) => {
      if (branch === 'main') throw new CovistaError('conflict', 'main cannot be deleted', { name: branch });
      await pointers.deleteBranch(datasetId, branch, { ...LIFTED_FIRST, expectedHead }, context.provenance);
      return {};
    },
    protect: ({ datasetId, branch, protected: isProtected }, { provenance }) => pointers.protectBranch(datasetId, branch, isProtected, provenance),
    log: async ({ datasetId, branch, limit, cursor }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, isCount);
      return toPage(
        await pointers.log(datasetId, branch, { limit: limit + 1, before }),
        { limit, bytesMax: limits.pageBytesMax },
        ({ sequence }) => sequence,
      );
    },
  };
}
