import type { DatasetId } from '../../../protocol/ids.ts';
import type { Column } from '../../storage/stores.ts';
import type { RefResolver } from '../versioning/refs.ts';
import type { VersionReader } from '../versioning/version-reader.ts';

export interface MainSchemaSources {
  readonly refs: Pick<RefResolver, 'head'>;
  readonly reader: Pick<VersionReader, 'record'>;
}

/** The columns of the newest version of main; undefined when there is none yet. */
export async function mainSchema({ refs, reader }: MainSchemaSources, datasetId: DatasetId): Promise<readonly Column[] | undefined> {
  const head = await refs.head(datasetId, 'main');
  return head === undefined ? undefined : (await reader.record(datasetId, head.versionId)).schema;
}
