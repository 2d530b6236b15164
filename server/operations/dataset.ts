import { CovistaError } from '../../protocol/errors.ts';
import type { DatasetId } from '../../protocol/ids.ts';
import { principalsOf } from '../services/access/actor.ts';
import { decodeCursor, isCount, toPage } from '../shared/cursor.ts';
import type { NewDataset } from '../storage/stores.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export function datasetHandlers({ stores, datasets, events, authorizer }: Services): ResourceHandlers<'dataset'> {
  const store = stores.metadata.datasets;
  return {
    create: (input, { provenance }) => store.create(input, provenance),
    list: async ({ search, label, limit, cursor }, { actor }) => {
      const before = cursor === undefined ? undefined : (decodeCursor(cursor, isCount) as DatasetId);
      const principals = actor.serverAdmin ? null : principalsOf(actor);
      return toPage(await store.list({ principals, search, label, before, limit: limit + 1 }), limit, ({ datasetId }) => datasetId);
    },
    get: async ({ datasetId }) => {
      const found = await store.get(datasetId);
      if (found === undefined) throw new CovistaError('not_found', `there is no dataset ${datasetId}`, { datasetId });
      return found;
    },
    update: ({ datasetId, ...changes }, { provenance }) => store.update(datasetId, withoutAbsent(changes), provenance),
    delete: async ({ datasetId }, { provenance }) => {
      await datasets.remove(datasetId, provenance);
      return {};
    },
    watch: ({ datasetId, after }, { actor, signal }) =>
      events.follow(datasetId, { after, signal, recheck: async () => void (await authorizer.authorize(actor, 'read', datasetId)) }),
  };
}

function withoutAbsent(changes: { [Name in keyof NewDataset]?: NewDataset[Name] | undefined }): Partial<NewDataset> {
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
}
