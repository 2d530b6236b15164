import { LRUCache } from 'lru-cache';
import type { DatasetId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { Hits } from '../../shared/metrics.ts';
import type { GrantStore } from '../../storage/stores.ts';
import type { Access } from './access.ts';
import type { Actor } from './actor.ts';
import { type GrantIndex, indexGrants, type Standing } from './standing.ts';

/** What the grants came to for somebody. */
export interface Weighed {
  readonly standing: Standing;
  /** Undefined when it is nothing, or more parts than a read may carry. */
  readonly access: Access | undefined;
}

/** The grants of a dataset with what they came to for those who asked. */
export interface Known {
  readonly grants: GrantIndex;
  readonly weighed: WeakMap<Actor, Weighed>;
}

/** The grants of a dataset that are being read, or were; undefined when there is no such dataset. */
export interface Loading {
  readonly promise: Promise<Known | undefined>;
  /** Once they were read. */
  known: Known | undefined;
}

/** Reads grants through a cache; a load that an invalidation overtook is not kept, nor a failure or the absence of a dataset. */
export class GrantCache {
  readonly #grants: Pick<GrantStore, 'ofDataset'>;
  readonly #cache: LRUCache<DatasetId, Loading>;
  #lookups = 0;
  #misses = 0;
  /** Callers stay with a dataset for a while, and comparing a number is cheaper than looking it up. */
  #latest: { readonly datasetId: DatasetId; readonly loading: Loading } | undefined;

  constructor(grants: Pick<GrantStore, 'ofDataset'>, { grantCacheMax }: Pick<Limits, 'grantCacheMax'>) {
    this.#grants = grants;
    this.#cache = new LRUCache({ max: grantCacheMax });
  }

  /** How often the grants of a dataset were asked for, and known. */
  get hits(): Hits {
    return { hits: this.#lookups - this.#misses, misses: this.#misses };
  }

  load(datasetId: DatasetId): Loading {
    this.#lookups += 1;
    if (this.#latest?.datasetId === datasetId) return this.#latest.loading;
    const loading = this.#cache.get(datasetId) ?? this.#read(datasetId);
    this.#latest = { datasetId, loading };
    return loading;
  }

  forget(datasetId: DatasetId): void {
    if (this.#latest?.datasetId === datasetId) this.#latest = undefined;
    this.#cache.delete(datasetId);
  }

  clear(): void {
    this.#latest = undefined;
    this.#cache.clear();
  }

  #read(datasetId: DatasetId): Loading {
    this.#misses += 1;
    const promise = this.#grants.ofDataset(datasetId).then((records) => records && { grants: indexGrants(records), weighed: new WeakMap() });
    const loading: Loading = { promise, known: undefined };
    this.#cache.set(datasetId, loading);
    const drop = (): void => {
      if (this.#latest?.loading === loading) this.#latest = undefined;
      if (this.#cache.peek(datasetId) === loading) this.#cache.delete(datasetId);
    };
    promise.then((known) => {
      loading.known = known;
      if (known === undefined) drop();
    }, drop);
    return loading;
  }
}
