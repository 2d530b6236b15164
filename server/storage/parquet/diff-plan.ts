import { createHash } from 'node:crypto';
import { CovistaError } from '../../../protocol/errors.ts';
import { type Content, type ContentFile, isUnrestricted, type ScopedContent, scopeIdentity } from '../content-store.ts';
import { type ComparedColumn, isSameType, pairColumns, type Side } from './diff-columns.ts';
import { scopedRelation } from './relation.ts';

export interface DiffSide {
  readonly side: Side;
  readonly whole: ScopedContent;
  /** Without the files that both sides have. Positions of changes count in these files. */
  readonly differing: ScopedContent;
}

/** What is compared with what. */
export interface DiffPlan {
  /** The same for two requests exactly if their results are the same, whatever paths the files have. */
  readonly id: string;
  /** Null: rows are compared as a multiset. */
  readonly key: readonly ComparedColumn[] | null;
  /** The columns that are compared beside the key; of a multiset, all that either side has. */
  readonly columns: readonly ComparedColumn[];
  readonly from: DiffSide;
  readonly to: DiffSide;
  /** Files that both sides have and read alike. */
  readonly shared: ScopedContent;
}

/** Fails with `unprocessable_data` when a side lacks columns of the key. */
export function planDiff(from: ScopedContent, to: ScopedContent, key: readonly string[] | null): DiffPlan {
  const visible = { from: scopedRelation(from).schema, to: scopedRelation(to).schema };
  const pairs = pairColumns(visible.from, visible.to);
  const keyColumns = key === null ? null : key.map((name) => pairs.find((pair) => pair.name === name) ?? { name, from: null, to: null, type: '' });
  if (keyColumns !== null) refuseAbsent(keyColumns);
  const columns = key === null ? pairs : pairs.filter((column) => column.from !== null && column.to !== null && !key.includes(column.name));
  const mayShare = [...(keyColumns ?? []), ...columns].every(isSameType) && sameReading(from, to);
  const files = mayShare ? splitFiles(from.content.files, to.content.files) : { shared: [], from: from.content.files, to: to.content.files };
  const describe = ({ content, scope }: ScopedContent, schema: readonly { name: string; type: string }[]): unknown => [
    schema.map(({ name, type }) => [name, type]),
    content.schema.map(({ name, type }) => [name, type]),
    content.files.map(({ sha256 }) => sha256),
    scopeIdentity(content.schema, scope),
  ];
  return {
    id: digest([describe(from, visible.from), describe(to, visible.to), key]),
    key: keyColumns,
    columns,
    from: { side: 'from', whole: from, differing: withFiles(from, files.from) },
    to: { side: 'to', whole: to, differing: withFiles(to, files.to) },
    shared: withFiles(to, files.shared),
  };
}

function refuseAbsent(key: readonly ComparedColumn[]): void {
  for (const side of ['from', 'to'] as const) {
    const columns = key.filter((column) => column[side] === null).map(({ name }) => name);
    if (columns.length === 0) continue;
    const names = columns.map((name) => JSON.stringify(name)).join(', ');
    throw new CovistaError('unprocessable_data', `the key columns ${names} are not in "${side}"`, { side, columns });
  }
}

/** Whether a file of both sides shows the same cells on both: the scopes do the same, and the columns that filters name mean the same. */
function sameReading(from: ScopedContent, to: ScopedContent): boolean {
  if (isUnrestricted(from.scope) && isUnrestricted(to.scope)) return true;
  if (scopeIdentity(from.content.schema, from.scope) !== scopeIdentity(to.content.schema, to.scope)) return false;
  return toText(typesOf(from.content)) === toText(typesOf(to.content));
}

const typesOf = ({ schema }: Content): string[][] => schema.map(({ name, type }) => [name, type]).sort();

interface FileSplit {
  readonly shared: ContentFile[];
  readonly from: ContentFile[];
  readonly to: ContentFile[];
}

/** A file that one side has twice and the other once is shared once. */
function splitFiles(from: readonly ContentFile[], to: readonly ContentFile[]): FileSplit {
  const left = new Map<string, number>();
  for (const { sha256 } of from) left.set(sha256, (left.get(sha256) ?? 0) + 1);
  const shared = to.filter(({ sha256 }) => take(left, sha256));
  const differing = (files: readonly ContentFile[]): ContentFile[] => {
    const skip = new Map<string, number>();
    for (const { sha256 } of shared) skip.set(sha256, (skip.get(sha256) ?? 0) + 1);
    return files.filter(({ sha256 }) => !take(skip, sha256));
  };
  return { shared, from: differing(from), to: differing(to) };
}

function take(counts: Map<string, number>, name: string): boolean {
  const count = counts.get(name) ?? 0;
  if (count > 0) counts.set(name, count - 1);
  return count > 0;
}

export function withFiles({ content, scope }: ScopedContent, files: readonly ContentFile[]): ScopedContent {
  return { scope, content: { ...content, files, rows: files.reduce((sum, { rows }) => sum + rows, 0) } };
}

/** SHA-256 of a value's JSON text, where 64-bit integers are texts. */
export function digest(value: unknown): string {
  return createHash('sha256').update(toText(value)).digest('hex');
}

function toText(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part));
}
