import { type Content, isUnrestricted, type ScopedContent, UNRESTRICTED } from '../content-store.ts';
import { type ComparedColumn, isSameType, type Side } from './diff-columns.ts';
import { type DiffPlan, type DiffSide, digest, withFiles } from './diff-plan.ts';
import { fileOf, positionOf, rowOf } from './diff-sql.ts';
import type { DigestFile } from './digest-files.ts';
import { isToldByText } from './row-digest.ts';

/** What digests are made of: columns that have the same types on both sides, in an order that does not depend on the sides. */
export interface DigestRecipe {
  readonly key: readonly ComparedColumn[];
  readonly columns: readonly ComparedColumn[];
}

/** A data file whose rows have digests, or are to have some. */
export interface Digestible {
  /** Of the bytes of the file, and of the names and types of the columns as they are read. */
  readonly id: string;
  readonly recipe: DigestRecipe;
  readonly source: ScopedContent;
}

/** The data files that a plan compares, by side; undefined where digests would not tell the same as the cells. */
export function digestibleFiles(plan: DiffPlan): Readonly<Record<Side, readonly Digestible[]>> | undefined {
  const { key, columns, from, to } = plan;
  if (key === null || columns.length === 0 || !isUnrestricted(from.whole.scope) || !isUnrestricted(to.whole.scope)) return undefined;
  if (from.differing.content.rows === 0 || to.differing.content.rows === 0) return undefined;
  if (![...key, ...columns].every((column) => isSameType(column) && isToldByText(column.type))) return undefined;
  const recipe = recipeOf(key, columns);
  return { from: filesOf(from.differing, recipe), to: filesOf(to.differing, recipe) };
}

/** The data files of a version for a diff by a key with a version of the same columns; none where digests are of no use. */
export function digestibleFilesOf(content: Content, key: readonly string[]): readonly Digestible[] {
  const all = content.schema.map(({ name, type }) => column(name, type));
  const keyColumns = all.filter(({ name }) => key.includes(name));
  const columns = all.filter(({ name }) => !key.includes(name));
  if (keyColumns.length < key.length || columns.length === 0 || !all.every(({ type }) => isToldByText(type))) return [];
  return filesOf({ content, scope: UNRESTRICTED }, recipeOf(keyColumns, columns));
}

const byName = (columns: readonly ComparedColumn[]): ComparedColumn[] => columns.toSorted((one, other) => (one.name < other.name ? -1 : 1));
const recipeOf = (key: readonly ComparedColumn[], columns: readonly ComparedColumn[]): DigestRecipe => ({
  key: byName(key),
  columns: byName(columns),
});

function filesOf(source: ScopedContent, recipe: DigestRecipe): Digestible[] {
  const read = [recipe.key, recipe.columns].map((columns) => columns.map(({ name, type }) => [name, type]));
  return source.content.files.map((file) => ({ id: digest([file.sha256, read]), recipe, source: withFiles(source, [file]) }));
}

/** A comparison of digests that stands for one of cells. */
export interface DigestPlan {
  readonly plan: DiffPlan;
  readonly key: readonly ComparedColumn[];
  /** SQL that turns a position in the digests of a side into the one in its data files. */
  position(side: Side, value: string): string;
}

/** The names of the two halves of a digest. */
export const DIGEST_COLUMNS = ['d0', 'd1'] as const;

export function planDigests({ key }: DigestRecipe, files: Readonly<Record<Side, readonly DigestFile[]>>): DigestPlan {
  const keys = key.map(({ type }, index) => column(`k${index}`, type));
  const columns = DIGEST_COLUMNS.map((name) => column(name, 'UBIGINT'));
  const contents = { from: contentOf([...keys, ...columns], files.from), to: contentOf([...keys, ...columns], files.to) };
  const sideOf = (side: Side): DiffSide => ({ side, whole: contents[side], differing: contents[side] });
  const starts = { from: startsOf(files.from), to: startsOf(files.to) };
  return {
    plan: { id: '', key: keys, columns, from: sideOf('from'), to: sideOf('to'), shared: withFiles(contents.from, []) },
    key: keys,
    position: (side, value) => `[${starts[side].join(', ')}][${fileOf(value)} + 1] + ${rowOf(value)}`,
  };
}

const column = (name: string, type: string): ComparedColumn => ({ name, from: type, to: type, type });

/** The parts as something that can be read, like a version. */
function contentOf(columns: readonly ComparedColumn[], files: readonly DigestFile[]): ScopedContent {
  const parts = files.flatMap((file) => file.parts.map(({ path, rows }) => ({ path, rows, sha256: '', schemaHash: '' })));
  const content: Content = {
    schema: columns.map(({ name, type }, columnId) => ({ columnId, name, type, nullable: true })),
    schemaHash: '',
    rows: parts.reduce((sum, { rows }) => sum + rows, 0),
    files: parts,
  };
  return { content, scope: UNRESTRICTED };
}

/** Where each part begins: the position of its first row in the data files. */
function startsOf(files: readonly DigestFile[]): bigint[] {
  return files.flatMap(({ parts }, file) => {
    let row = 0;
    return parts.map(({ rows }) => {
      const start = positionOf(file, row);
      row += rows;
      return start;
    });
  });
}
