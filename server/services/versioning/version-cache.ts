import { LRUCache } from 'lru-cache';
import type { DatasetId, VersionId } from '../../../protocol/ids.ts';

/** What was read of versions. An answer that was under way while its dataset was forgotten is not kept. */
export class VersionCache<Value extends object> {
  readonly #cache: LRUCache<string, Value>;
  readonly #read: (datasetId: DatasetId, versionId: VersionId) => Promise<Value | undefined>;
  /** Rises with everything that is forgotten. */
  #epoch = 0;

  constructor(maxSize: number, weightOf: (value: Value) => number, read: (datasetId: DatasetId, versionId: VersionId) => Promise<Value | undefined>) {
    this.#cache = new LRUCache({ maxSize, sizeCalculation: weightOf });
    this.#read = read;
  }

  async get(datasetId: DatasetId, versionId: VersionId): Promise<Value | undefined> {
    const key = `${datasetId}/${versionId}`;
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const epoch = this.#epoch;
    const found = await this.#read(datasetId, versionId);
    if (found !== undefined && epoch === this.#epoch) this.#cache.set(key, found);
    return found;
  }

  /** Undefined: of all datasets. */
  forget(datasetId: DatasetId | undefined): void {
    this.#epoch += 1;
    if (datasetId === undefined) this.#cache.clear();
    else for (const key of [...this.#cache.keys()]) if (key.startsWith(`${datasetId}/`)) this.#cache.delete(key);
  }
}
