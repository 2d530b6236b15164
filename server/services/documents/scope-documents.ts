import { createHash } from 'node:crypto';
import type { DatasetId } from '../../../protocol/ids.ts';
import { canonicalJson } from '../../shared/canonical.ts';
import { isUnrestricted, type Scope, type ScopePart } from '../../storage/content-store.ts';
import type { DocumentTarget } from '../../storage/stores.ts';

const KEY_CHARS = 32;

/** A scope as it is stored with its document. */
export interface StoredScope {
  readonly parts: readonly ScopePart[];
}

/** Whether a scope shows everything that a stored one does, by the same grants or by one that shows all. */
export function showsAtLeast(scope: Scope, { parts }: StoredScope): boolean {
  if (isUnrestricted(scope)) return true;
  const own = new Set(textsOf(scope));
  return parts.every((part) => own.has(canonicalJson(part)));
}

/**
 * The document of those who see the same of a dataset. It goes by what their grants say rather than by what a version shows, so
 * that it stays the same when columns come and go.
 */
export function datasetDocument(datasetId: DatasetId, scope: Scope): DocumentTarget {
  const name = `dataset/${datasetId}`;
  if (isUnrestricted(scope)) return { name, datasetId, scope: null };
  const texts = textsOf(scope);
  const key = createHash('sha256').update(JSON.stringify(texts)).digest('hex').slice(0, KEY_CHARS);
  return { name: `${name}/${key}`, datasetId, scope: { parts: texts.map((text) => JSON.parse(text) as unknown) } };
}

/** Each part of a scope once, in an order that does not depend on that of the grants. */
function textsOf(scope: Scope): string[] {
  const parts = scope.parts.map(({ rows, mask }) => ({
    rows: rows === null ? null : { sql: rows.sql, values: rows.values, columns: rows.columns },
    mask: mask === null ? null : { hidden: mask.hidden.map((column) => column.toLowerCase()).sort(), columnIdsBelow: mask.columnIdsBelow },
  }));
  return [...new Set(parts.map((part) => canonicalJson(part)))].sort();
}
