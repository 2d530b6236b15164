import { CovistaError } from '../../protocol/errors.ts';
import type { DatasetId, GrantId } from '../../protocol/ids.ts';
import { mainSchema } from '../services/access/main-schema.ts';
import { decodeCursor, isCount, toPage } from '../shared/cursor.ts';
import { type Control, isUnrestricted } from '../storage/content-store.ts';
import type { CheckedFilter } from '../storage/stores.ts';
import { accessOf, controlOf } from './context.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export function grantHandlers({ stores, authorizer, reader, refs, limits }: Services): ResourceHandlers<'grant'> {
  const { grants } = stores.metadata;

  const check = async (datasetId: DatasetId, rowFilter: string, control: Control): Promise<CheckedFilter> => {
    const schema = await mainSchema({ refs, reader }, datasetId);
    if (schema === undefined)
      throw new CovistaError('invalid_input', 'rowFilter: main has no version yet, so there are no columns to filter by', { field: 'rowFilter' });
    return stores.content.checkFilter(rowFilter, schema, control);
  };

  return {
    create: async ({ datasetId, ...grant }, context) => {
      if (!isUnrestricted(accessOf(context).scope)) throw new CovistaError('forbidden', 'only who sees everything can let others see', { datasetId });
      const filter = grant.rowFilter === null ? null : await check(datasetId, grant.rowFilter, controlOf(context));
      const created = await grants.create(datasetId, { ...grant, filter }, context.provenance);
      authorizer.forget(datasetId);
      return created;
    },
    list: async ({ datasetId, limit, cursor }) => {
      const after = cursor === undefined ? undefined : (decodeCursor(cursor, isCount) as GrantId);
      return toPage(await grants.list(datasetId, { limit: limit + 1, after }), { limit, bytesMax: limits.pageBytesMax }, ({ grantId }) => grantId);
    },
    revoke: async ({ datasetId, grantId }, { provenance }) => {
      await grants.revoke(datasetId, grantId, provenance);
      authorizer.forget(datasetId);
      return {};
    },
  };
}
