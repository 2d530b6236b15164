import type { GrantId } from '../../protocol/ids.ts';
import { decodeCursor, isCount, toPage } from '../shared/cursor.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export function grantHandlers({ stores, authorizer }: Services): ResourceHandlers<'grant'> {
  const { grants } = stores.metadata;
  return {
    create: async ({ datasetId, ...grant }, { provenance }) => {
      const created = await grants.create(datasetId, grant, provenance);
      authorizer.forget(datasetId);
      return created;
    },
    list: async ({ datasetId, limit, cursor }) => {
      const after = cursor === undefined ? undefined : (decodeCursor(cursor, isCount) as GrantId);
      return toPage(await grants.list(datasetId, { limit: limit + 1, after }), limit, ({ grantId }) => grantId);
    },
    revoke: async ({ datasetId, grantId }, { provenance }) => {
      await grants.revoke(datasetId, grantId, provenance);
      authorizer.forget(datasetId);
      return {};
    },
  };
}
