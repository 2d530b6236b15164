import { CovistaError } from '../../protocol/errors.ts';
import { decodeCursor, isText, toPage } from '../shared/cursor.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export function tagHandlers({ stores, refs, limits }: Services): ResourceHandlers<'tag'> {
  const { pointers } = stores.metadata;
  return {
    create: async ({ datasetId, name, ref, message }, { provenance }) =>
      pointers.createTag(datasetId, name, (await refs.resolve(datasetId, ref)).versionId, message, provenance),
    list: async ({ datasetId, limit, cursor }) => {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, isText);
      return toPage(await pointers.listTags(datasetId, { limit: limit + 1, after }), { limit, bytesMax: limits.pageBytesMax }, ({ name }) => name);
    },
    get: async ({ datasetId, tag }) => {
      const pointer = await refs.pointer(datasetId, tag);
      if (pointer.kind === 'tag') return pointer;
      throw new CovistaError('not_found', `${JSON.stringify(tag)} is a branch, not a tag`, { name: tag, kind: 'branch' });
    },
  };
}
