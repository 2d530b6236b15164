import type { DatasetId } from '../../protocol/ids.ts';
import type { Provenance, Stores } from '../storage/stores.ts';
import type { Authorizer } from './access/authorizer.ts';

export interface DatasetRemoval {
  /** Removes a dataset with all it has. What a crash leaves of its files, housekeeping removes. */
  remove(datasetId: DatasetId, provenance: Provenance): Promise<void>;
}

export function createDatasetRemoval({ stores, authorizer }: { readonly stores: Stores; readonly authorizer: Authorizer }): DatasetRemoval {
  return {
    remove: async (datasetId, provenance) => {
      await stores.metadata.datasets.delete(datasetId, provenance);
      authorizer.forget(datasetId);
      const objectKeys: string[] = [];
      for await (const { objectKey } of stores.objects.list(`datasets/${datasetId}`)) objectKeys.push(objectKey);
      await stores.objects.delete(objectKeys);
    },
  };
}
