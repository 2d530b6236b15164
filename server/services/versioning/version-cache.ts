import { LRUCache } from 'lru-cache';
import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import { CacheCounts } from '../../shared/cache-counts.ts';

export interface VersionCacheOptions<Value> {
  readonly maxSize: number;
  readonly weightOf: (value: Value) => number;
  /** Whether it stays what it is, so that it may be kept. */
  readonly isLasting: (value: Value) => boolean;
  readonly read: (datasetId: DatasetId, versionId: VersionId) => Promise<Value | undefined>;
}

/** What was read of versions. An answer that was under way while its dataset was forgotten is not kept. */
export class VersionCache<Value extends object> {
  readonly counts = new CacheCounts();
  readonly #options: VersionCacheOptions<Value>;
  readonly #cache: LRUCache<string, Value>;
  /** Rises with everything that is forgotten. */
  #epoch = 0;

  constructor(options: VersionCacheOptions<Value>) {
    this.#options = options;
    this.#cache = new LRUCache({ maxSize: options.maxSize, sizeCalculation: options.weightOf });
  }

  async get(datasetId: DatasetId, versionId: VersionId): Promise<Value | undefined> {
    const key = `${datasetId}/${versionId}`;
    const known = this.#cache.get(key);
    this.counts.count(known !== undefined);
    if (known !== undefined) return known;
    const epoch = this.#epoch;
    const found = await this.#options.read(datasetId, versionId);
    if (found !== undefined && epoch === this.#epoch && this.#options.isLasting(found)) this.#cache.set(key, found);
    return found;
  }

  /** Undefined: of all datasets. */
  forget(datasetId: DatasetId | undefined): void {
    this.#epoch += 1;
    if (datasetId === undefined) this.#cache.clear();
    else for (const key of [...this.#cache.keys()]) if (key.startsWith(`${datasetId}/`)) this.#cache.delete(key);
  }
}
