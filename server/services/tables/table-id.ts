import { createHmac } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { type DatasetId, type TableId, tableId, type UploadId, type VersionId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { CacheCounts } from '../../shared/cache-counts.ts';

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
export type TableIds = (identity: TableIdentity) => TableId;

/** What is longer than this costs little to hash beside what made it so long. */
const KEPT_CHARS_MAX = 4_096;

/** Every use of a table asks for its id anew, by which it is found out whether the table still follows from what the caller may see. */
export function createTableIds(key: string, { tableIdsKeptMax: max }: Pick<Limits, 'tableIdsKeptMax'>, counts: CacheCounts): TableIds {
  const kept = new LRUCache<string, TableId>({ max });
  return ({ origin, scope, columns, rowLimit, engine }) => {
    const source = origin.kind === 'version' ? [origin.datasetId, origin.versionId] : [origin.uploadId, origin.subject];
    const text = JSON.stringify([source, scope, columns, rowLimit, engine]);
    const known = kept.get(text);
    counts.count(known !== undefined);
    if (known !== undefined) return known;
    const hash = createHmac('sha256', key).update(text).digest('hex').slice(0, HASH_CHARS);
    const made = tableId.parse(origin.kind === 'version' ? `dataset_${origin.datasetId}_v${origin.versionId}_${hash}` : `upload_${hash}`);
    if (text.length <= KEPT_CHARS_MAX) kept.set(text, made);
    return made;
  };
}
