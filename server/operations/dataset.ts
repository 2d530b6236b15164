import { CovistaError } from '../../protocol/errors.ts';
import type { DatasetId } from '../../protocol/ids.ts';
import { principalsOf } from '../services/access/actor.ts';
import type { Standing } from '../services/access/standing.ts';
import { visibleEvent } from '../services/access/visible-events.ts';
import { decodeCursor, isId, toPage } from '../shared/cursor.ts';
import { type Scope, showsAllColumns } from '../storage/content-store.ts';
import type { DatasetRecord, NewDataset } from '../storage/stores.ts';
import { accessOf } from './context.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export function datasetHandlers({ stores, datasets, events, authorizer, limits }: Services): ResourceHandlers<'dataset'> {
  const store = stores.metadata.datasets;
  return {
    create: (input, { provenance }) => store.create(input, provenance),
    list: async ({ search, label, limit, cursor }, { actor }) => {
      const before = cursor === undefined ? undefined : (decodeCursor(cursor, isId) as DatasetId);
      const principals = actor.serverAdmin ? null : principalsOf(actor);
      const { items, ...page } = toPage(
        await store.list({ principals, search, label, before, limit: limit + 1 }),
        { limit, bytesMax: limits.pageBytesMax },
        ({ datasetId }) => datasetId,
      );
      const shown = await Promise.all(items.map(async (dataset) => visibleDataset(dataset, await authorizer.standing(actor, dataset.datasetId))));
      return { items: shown.filter((dataset) => dataset !== undefined), ...page };
    },
    get: async ({ datasetId }, context) => {
      const found = await store.get(datasetId);
      if (found === undefined) throw new CovistaError('not_found', `there is no dataset ${datasetId}`, { datasetId });
      return withVisibleKey(found, accessOf(context).scope);
    },
    update: ({ datasetId, ...changes }, { provenance }) => store.update(datasetId, withoutAbsent(changes), provenance),
    delete: async ({ datasetId }, { provenance }) => {
      await datasets.remove(datasetId, provenance);
      return {};
    },
    undelete: ({ datasetId }, { provenance }) => datasets.undelete(datasetId, provenance),
    listDeleted: async ({ limit, cursor }, { actor }) => {
      const before = cursor === undefined ? undefined : (decodeCursor(cursor, isId) as DatasetId);
      const found = await datasets.listDeleted(actor, { limit: limit + 1, before });
      return toPage(found, { limit, bytesMax: limits.pageBytesMax }, ({ datasetId }) => datasetId);
    },
    cleanup: ({ datasetId, dryRun }, { provenance }) => datasets.cleanup(datasetId, dryRun, provenance),
    watch: async function* ({ datasetId, after }, { actor, signal }) {
      const access = () => authorizer.authorize(actor, 'read', datasetId);
      // Events from before are read again, but what they changed is known.
      const known = await stores.metadata.events.latest(datasetId);
      // Whoever loses the connection before the first event has a sequence to go on behind.
      if (after === undefined) yield { sequence: known, kind: 'watching', at: new Date().toISOString(), actor: actor.subject, data: {} };
      for await (const event of events.follow(datasetId, { after: after ?? known, signal, recheck: async () => void (await access()) })) {
        if (event.kind === 'grant.changed' && event.sequence > known) authorizer.catchUp(datasetId, event.sequence);
        yield visibleEvent(event, await access(), actor.subject);
      }
    },
  };
}

/** The names of key columns are shown to those who may see every column. */
function withVisibleKey(dataset: DatasetRecord, scope: Scope): DatasetRecord {
  return showsAllColumns(scope) ? dataset : { ...dataset, key: null };
}

/** Undefined for a dataset of which nothing is visible, because the grants on it depend on claims that the caller lacks. */
function visibleDataset(dataset: DatasetRecord, standing: Standing | undefined): DatasetRecord | undefined {
  return standing?.permission === undefined ? undefined : withVisibleKey(dataset, standing.scope);
}

function withoutAbsent(changes: { [Name in keyof NewDataset]?: NewDataset[Name] | undefined }): Partial<NewDataset> {
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
}
