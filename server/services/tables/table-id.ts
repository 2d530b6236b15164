import { createHmac } from 'node:crypto';
import { type DatasetId, type TableId, tableId, type UploadId, type VersionId } from '../../../protocol/ids.ts';

export type TableOrigin =
  | { readonly kind: 'version'; readonly datasetId: DatasetId; readonly versionId: VersionId }
  | { readonly kind: 'upload'; readonly uploadId: UploadId; readonly subject: string };

/** All that tells a table from others: who agrees in it shares one table. */
export interface TableIdentity {
  readonly origin: TableOrigin;
  /** What of the rows may be seen, claims bound (`scopeIdentity`). */
  readonly scope: string;
  readonly columns: readonly string[];
  readonly rowLimit: number | null;
  readonly engine: string;
}

const HASH_CHARS = 32;

/** The id of a table: it follows from what the table is made of, and without the key it cannot be guessed. */
export function tableIdOf(key: string, { origin, scope, columns, rowLimit, engine }: TableIdentity): TableId {
  const parts = [
    origin.kind === 'version' ? [origin.datasetId, origin.versionId] : [origin.uploadId, origin.subject],
    scope,
    columns,
    rowLimit,
    engine,
  ];
  const hash = createHmac('sha256', key).update(JSON.stringify(parts)).digest('hex').slice(0, HASH_CHARS);
  return tableId.parse(origin.kind === 'version' ? `dataset_${origin.datasetId}_v${origin.versionId}_${hash}` : `upload_${hash}`);
}
