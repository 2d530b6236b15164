import type { DatasetId } from '../../protocol/ids.ts';
import type { Provenance, Stores } from '../storage/stores.ts';
import type { Authorizer } from './access/authorizer.ts';
import type { Tables } from './tables/tables.ts';

export interface DatasetRemoval {
  /** Removes a dataset with all it has. What a crash leaves of its files, housekeeping removes. */
  remove(datasetId: DatasetId, provenance: Provenance): Promise<void>;
}

interface DatasetRemovalOptions {
  readonly stores: Stores;
  readonly authorizer: Authorizer;
  readonly tables: Pick<Tables, 'forgetDataset'>;
}

export function createDatasetRemoval({ stores, authorizer, tables }: DatasetRemovalOptions): DatasetRemoval {
  return {
    remove: async (datasetId, provenance) => {
      await stores.metadata.datasets.delete(datasetId, provenance);
      authorizer.forget(datasetId);
      tables.forgetDataset(datasetId);
      const objectKeys: string[] = [];
      for await (const { objectKey } of stores.objects.list(`datasets/${datasetId}`)) objectKeys.push(objectKey);
      await stores.objects.delete(objectKeys);
    },
  };
}
