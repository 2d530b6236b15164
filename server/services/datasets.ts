import type { DatasetId, TableId } from '../../protocol/ids.ts';
import type { Logger } from '../shared/log.ts';
import type { DatasetRecord, DatasetStore, DeletedDataset, Provenance } from '../storage/stores.ts';
import { type Actor, principalsOf } from './access/actor.ts';
import type { Authorizer } from './access/authorizer.ts';
import type { Denials } from './access/denials.ts';
import type { Retention, RetentionRun } from './retention/retention.ts';
import type { Tables } from './tables/tables.ts';

export interface Cleanup {
  readonly closedTables: TableId[];
  readonly usedTables: { readonly tableId: TableId; readonly connections: number }[];
  readonly retention: RetentionRun;
}

export interface DatasetRemoval {
  /** Ends its tables and hides it; what it has goes when the grace is over. */
  remove(datasetId: DatasetId, provenance: Provenance): Promise<void>;
  undelete(datasetId: DatasetId, provenance: Provenance): Promise<DatasetRecord>;
  listDeleted(
    actor: Actor,
    page: { readonly limit: number; readonly before: DatasetId | undefined },
  ): Promise<(DeletedDataset & { readonly goneAt: string })[]>;
  /** Closes tables that nobody uses, and removes what the policy does not keep. */
  cleanup(datasetId: DatasetId, dryRun: boolean, provenance: Provenance): Promise<Cleanup>;
}

interface DatasetRemovalOptions {
  readonly store: Pick<DatasetStore, 'delete' | 'undelete' | 'listDeleted'>;
  readonly authorizer: Pick<Authorizer, 'forget'>;
  readonly denials: Pick<Denials, 'pardon'>;
  readonly tables: Pick<Tables, 'forgetDataset' | 'ofDataset' | 'unloadIdle'>;
  readonly retention: Pick<Retention, 'preview' | 'run'>;
  /** How long a deleted dataset can be brought back. */
  readonly graceMs: number;
  readonly log: Logger;
}

export function createDatasetRemoval({ store, authorizer, denials, tables, retention, graceMs, log }: DatasetRemovalOptions): DatasetRemoval {
  const principals = (actor: Actor): readonly string[] | null => (actor.serverAdmin ? null : principalsOf(actor));
  return {
    remove: async (datasetId, provenance) => {
      await store.delete(datasetId, provenance);
      denials.pardon(datasetId);
      authorizer.forget(datasetId);
      tables.forgetDataset(datasetId);
    },
    undelete: async (datasetId, provenance) => {
      const restored = await store.undelete(datasetId, graceMs, provenance);
      authorizer.forget(datasetId);
      return restored;
    },
    listDeleted: async (actor, page) => {
      const found = await store.listDeleted({ ...page, principals: principals(actor), graceMs });
      return found.map((dataset) => ({ ...dataset, goneAt: new Date(Date.parse(dataset.deletedAt) + graceMs).toISOString() }));
    },
    cleanup: async (datasetId, dryRun, provenance) => {
      const found = tables.ofDataset(datasetId);
      const usedTables = found.flatMap(({ tableId, connections }) => (connections > 0 ? [{ tableId, connections }] : []));
      const closedTables = found.flatMap(({ tableId, connections }) => (connections > 0 ? [] : [tableId]));
      if (dryRun) return { closedTables, usedTables, retention: await retention.preview(datasetId, undefined) };
      for (const table of usedTables) log.warn({ datasetId, ...table }, 'a table is not closed by the cleanup: it has connections');
      for (const tableId of closedTables) tables.unloadIdle(tableId);
      return retention.run(datasetId, (run) => ({ closedTables, usedTables, retention: run }), provenance);
    },
  };
}
