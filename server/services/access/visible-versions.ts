import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { CacheCounts } from '../../shared/cache-counts.ts';
import type { Hits } from '../../shared/metrics.ts';
import type { ContentStore } from '../../storage/content-store.ts';
import {
  type Control,
  isUnrestricted,
  isWhole,
  type Scope,
  type ScopedContent,
  scopeIdentity,
  showsAllRows,
  visibleParts,
  visibleSchema,
} from '../../storage/content-store.ts';
import type { ConversionError, VersionRecord } from '../../storage/stores.ts';

/** A version as a scope shows it: what tells of hidden rows or columns is counted through the scope, or null. */
export interface VisibleVersion extends Omit<VersionRecord, 'rows' | 'bytes' | 'files' | 'conversion'> {
  /** Null where nothing of the version is visible. */
  readonly rows: number | null;
  readonly bytes: number | null;
  readonly files: number | null;
  readonly conversion: {
    readonly status: VersionRecord['conversion']['status'];
    readonly errorCount: number | null;
    readonly errors: ConversionError[];
  };
}

export interface VisibleVersions {
  /** How often visible rows had to be told, and had been counted before. */
  hits(): Hits;
  /** Where nothing of a version is visible, its schema is empty and its rows are null. */
  show(version: VersionRecord, scope: Scope, control: Control): Promise<VisibleVersion>;
  showAll(versions: readonly VersionRecord[], scope: Scope, control: Control): Promise<VisibleVersion[]>;
  /** How many rows of a version are visible; `forbidden` when nothing of it is. */
  count(version: VersionRecord, scope: Scope, control: Control): Promise<number>;
}

export interface VisibleVersionsOptions {
  readonly content: Pick<ContentStore, 'count'>;
  readonly reader: { scoped(at: Pick<VersionRecord, 'datasetId' | 'versionId'> & { readonly scope: Scope }): Promise<ScopedContent> };
  readonly limits: Pick<Limits, 'scopedCountCacheMax'>;
}

/** Versions of a page whose rows are counted at once, so that one page does not fill the queue of the query engine. */
const COUNTS_AT_ONCE = 4;

export function createVisibleVersions({ content, reader, limits }: VisibleVersionsOptions): VisibleVersions {
  // Versions never change, so what a scope shows of one can be counted once.
  const counts = new LRUCache<string, number>({ max: limits.scopedCountCacheMax });
  const asked = new CacheCounts();

  const count: VisibleVersions['count'] = async (version, scope, control) => {
    if (isUnrestricted(scope) || showsAllRows(version.schema, scope)) return version.rows;
    const { datasetId, versionId } = version;
    const identity = createHash('sha256').update(scopeIdentity(version.schema, scope)).digest('base64');
    const key = `${datasetId}/${versionId}/${identity}`;
    const known = counts.get(key);
    asked.count(known !== undefined);
    if (known !== undefined) return known;
    const rows = await content.count(await reader.scoped({ datasetId, versionId, scope }), control);
    counts.set(key, rows);
    return rows;
  };

  const show: VisibleVersions['show'] = async (version, scope, control) => {
    if (isUnrestricted(scope)) return version;
    const { status } = version.conversion;
    const hidden = { bytes: null, files: null, original: null, conversion: { status, errorCount: null, errors: [] } };
    // Of a version that was removed, nothing can be counted any more.
    if (version.removedAt !== null) return { ...version, ...visibleShape(version, scope), ...hidden, rows: null };
    try {
      const rows = status === 'failed' ? 0 : await count(version, scope, control);
      return { ...version, ...visibleShape(version, scope), ...hidden, rows };
    } catch (error) {
      if (!(error instanceof CovistaError && error.code === 'forbidden')) throw error;
      return { ...version, schema: [], key: null, ...hidden, rows: null };
    }
  };

  return {
    hits: () => asked,
    count,
    show,
    showAll: async (versions, scope, control) => {
      const shown: VisibleVersion[] = [];
      for (let at = 0; at < versions.length; at += COUNTS_AT_ONCE) {
        shown.push(...(await Promise.all(versions.slice(at, at + COUNTS_AT_ONCE).map((version) => show(version, scope, control)))));
      }
      return shown;
    },
  };
}

/** What a scope shows of the columns of a version, and its key if all of that is visible; `forbidden` when nothing is. */
export function visibleShape(version: VersionRecord, scope: Scope): Pick<VersionRecord, 'schema' | 'key'> {
  if (isUnrestricted(scope)) return { schema: version.schema, key: version.key };
  const schema = visibleSchema(version.schema, scope);
  const isVisible = version.key?.every((name) => schema.some((column) => column.name === name)) === true;
  return { schema, key: isVisible ? version.key : null };
}

/** Names of the columns that are visible in every visible row: what rows can be told apart by. */
export function wholeColumns(version: VersionRecord, scope: Scope): Set<string> {
  const parts = visibleParts(version.schema, scope);
  return new Set(version.schema.flatMap(({ name }) => (parts.some(({ columns }) => columns.has(name)) && isWhole(parts, name) ? [name] : [])));
}
