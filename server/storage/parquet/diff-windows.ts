import type { Limits } from '../../../protocol/limits.ts';
import { isDecimal } from '../../shared/numeric-types.ts';
import type { Content } from '../content-store.ts';
import type { ComparedColumn } from './diff-columns.ts';
import type { DiffPlan, DiffSide } from './diff-plan.ts';
import { fileOf, fragment, join, rowOf, type Slice, sameKey, sideRows } from './diff-sql.ts';
import { rowGroupRows } from './parquet-options.ts';
import type { Session } from './session.ts';

/** Stretches of both sides that mostly hold the same keys; a row whose counterpart is in another window remains. */
export interface Window {
  readonly from: readonly Slice[];
  readonly to: readonly Slice[];
}

/** Which share of the engine's memory the rows of one window may take, as they are estimated; its joins need as much again. */
const MEMORY_SHARE = 0.5;
/** Rows that are looked for on the other side at each place where `from` might be cut. */
const PROBES_PER_CUT = 5;
/** DuckDB passes so many values of a join on to the scan, which then skips all row groups that have none of them. */
const PROBES_MAX = 50;
/** The share of those rows that must come in the same order on both sides. */
const ALIGNED_SHARE = 0.75;

/**
 * Divides a comparison by key so that what is compared at once fits into memory. Undefined when it does as a whole, and when
 * the sides come in different orders: then the engine spills, which costs less than to read both sides several times.
 */
export async function planWindows(session: Session, plan: DiffPlan, key: readonly ComparedColumn[], limits: Limits): Promise<Window[] | undefined> {
  const rows = Math.min(plan.from.differing.content.rows, plan.to.differing.content.rows);
  const columns = [...key, ...plan.columns];
  const bytesMax = limits.duckdbMemoryBytes * MEMORY_SHARE;
  if (rows * columns.length * SIZES.cellMax <= bytesMax) return undefined;
  const count = Math.ceil((rows * (await rowBytes(session, plan, columns))) / bytesMax);
  const anchors = count <= 1 ? undefined : await findAnchors(session, plan, key, count);
  return anchors === undefined ? undefined : windowsBetween(plan, anchors);
}

const SAMPLE_ROWS = 2_000;
/**
 * What a hash table adds to a row, and what a cell takes in it. Texts of up to so many bytes take no more than any text. Where
 * cells of `cellMax` bytes would fit, it is not worth while to look.
 */
const SIZES = { row: 32, number: 8, text: 16, inlineText: 12, cellMax: 256 };

/** What a row takes in a hash table, roughly: as texts and nested values have any length, some are looked at. */
export async function rowBytes(session: Session, { from, to }: DiffPlan, columns: readonly ComparedColumn[]): Promise<number> {
  const long = columns.filter(({ type }) => type === 'VARCHAR' || type === 'BLOB' || (/[([]/.test(type) && !isDecimal(type)));
  const fixed = SIZES.row + SIZES.number * (columns.length - long.length) + SIZES.text * long.length;
  const [ofFrom, ofTo] = [long.filter((column) => column.from !== null), long.filter((column) => column.from === null)];
  return fixed + (await bytesBeyond(session, from, ofFrom)) + (await bytesBeyond(session, to, ofTo));
}

/** What cells of these columns, which the side has, take beyond what every text takes, on average of a row. */
async function bytesBeyond(session: Session, { side, differing }: DiffSide, long: readonly ComparedColumn[]): Promise<number> {
  if (long.length === 0) return 0;
  const lengths = long.map((_column, index) => `strlen(CAST(n${index} AS VARCHAR))`);
  const beyond = lengths.map((length) => `CASE WHEN ${length} > ${SIZES.inlineText} THEN ${length} ELSE 0 END`).join(' + ');
  const sample = fragment`${sideRows(side, differing, { named: long })} LIMIT ${SAMPLE_ROWS}`;
  const { sql, values } = fragment`SELECT avg(${beyond}) AS bytes FROM (${sample})`;
  const [row] = await session.rows(sql, values);
  return Number(row?.bytes ?? 0);
}

interface Position {
  readonly file: number;
  readonly row: number;
}

/** A row of `from` and the row of `to` with the same key. */
interface Anchor {
  /** Which cut it was found for. */
  readonly cut: number;
  readonly from: Position;
  readonly to: Position;
}

/**
 * Where both sides can be cut so that the same keys lie between the cuts: rows of `from` at even distances that `to` has as
 * well. Undefined when they come in another order there.
 */
async function findAnchors(session: Session, plan: DiffPlan, key: readonly ComparedColumn[], count: number): Promise<Anchor[] | undefined> {
  const found: Anchor[] = [];
  let aligned: Anchor[] = [];
  const cuts = Array.from({ length: count - 1 }, (_unused, cut) => cut);
  const atOnce = Math.floor(PROBES_MAX / PROBES_PER_CUT);
  for (let done = 0; done < cuts.length; done += atOnce) {
    found.push(...(await probe(session, plan, key, { cuts: cuts.slice(done, done + atOnce), count })));
    aligned = longestRise(found);
    if (aligned.length === 0 || aligned.length < found.length * ALIGNED_SHARE) return undefined;
  }
  return aligned.filter(({ cut }, index) => cut !== aligned[index - 1]?.cut);
}

interface Cuts {
  readonly cuts: readonly number[];
  /** Into how many parts the cuts divide `from`. */
  readonly count: number;
}

async function probe(session: Session, { from, to }: DiffPlan, key: readonly ComparedColumn[], { cuts, count }: Cuts): Promise<Anchor[]> {
  const { content } = from.differing;
  const probes = cuts.map((cut) => {
    const { file, row } = cutAt(content, Math.floor((content.rows * (cut + 1)) / count), content.rows / count);
    const slice = { firstFile: file, endFile: file + 1, rows: { start: row, end: row + PROBES_PER_CUT } };
    return fragment`SELECT ${cut} AS cut, * FROM (${sideRows('from', from.differing, { key, position: true }, [slice])})`;
  });
  // The table has few rows, and DuckDB has to know it to choose the right side to build its hash table from.
  const table = fragment`CREATE OR REPLACE TEMP TABLE probes AS ${join(probes, ' UNION ALL ')}`;
  await session.execute(table.sql, table.values);
  const place = (alias: string, prefix: string): string => `${fileOf(`${alias}.pos`)} AS ${prefix}_file, ${rowOf(`${alias}.pos`)} AS ${prefix}_row`;
  const { sql, values } = fragment`SELECT f.cut, ${place('f', 'from')}, ${place('t', 'to')}
    FROM probes f JOIN (${sideRows('to', to.differing, { key, position: true })}) t ON ${sameKey(key, 'f', 't')} ORDER BY f.pos`;
  return (await session.rows(sql, values)).map((row) => ({
    cut: Number(row.cut),
    from: { file: Number(row.from_file), row: Number(row.from_row) },
    to: { file: Number(row.to_file), row: Number(row.to_row) },
  }));
}

/** The longest choice of anchors, which come in the order of `from`, that is also in the order of `to`. */
function longestRise(anchors: readonly Anchor[]): Anchor[] {
  // For each length, the chain of that length that ends lowest; a chain links back to the one it prolongs.
  type Chain = { readonly anchor: Anchor; readonly before: Chain | undefined };
  const lowest: Chain[] = [];
  for (const anchor of anchors) {
    const found = lowest.findIndex((chain) => comparePositions(chain.anchor.to, anchor.to) >= 0);
    const length = found < 0 ? lowest.length : found;
    lowest[length] = { anchor, before: lowest[length - 1] };
  }
  const rise: Anchor[] = [];
  for (let chain = lowest.at(-1); chain !== undefined; chain = chain.before) rise.unshift(chain.anchor);
  return rise;
}

const comparePositions = (one: Position, other: Position): number => one.file - other.file || one.row - other.row;

function windowsBetween({ from, to }: DiffPlan, anchors: readonly Anchor[]): Window[] {
  const start: Position = { file: 0, row: 0 };
  const end = ({ content }: { readonly content: Content }): Position => ({ file: content.files.length, row: 0 });
  const cuts = [{ from: start, to: start }, ...anchors, { from: end(from.differing), to: end(to.differing) }];
  return cuts.slice(1).map((cut, index) => {
    const before = cuts[index] ?? cut;
    return {
      from: slicesBetween(from.differing.content, before.from, cut.from),
      to: slicesBetween(to.differing.content, before.to, cut.to),
    };
  });
}

/** Where to cut near a row of the content: parts of some size begin with a row group, because one that is cut is read twice. */
function cutAt({ files, schema }: Content, ordinal: number, partRows: number): Position {
  const group = rowGroupRows(schema.length);
  let row = ordinal;
  for (const [file, { rows }] of files.entries()) {
    if (row < rows) return { file, row: partRows < group ? row : row - (row % group) };
    row -= rows;
  }
  return { file: files.length, row: 0 };
}

/** The rest of the first file, the files between, and the beginning of the last. */
function slicesBetween({ files }: Content, start: Position, end: Position): Slice[] {
  const within = (file: number, first: number, behind: number): Slice[] =>
    first < behind ? [{ firstFile: file, endFile: file + 1, rows: { start: first, end: behind } }] : [];
  if (start.file === end.file) return within(start.file, start.row, end.row);
  const firstWhole = start.row === 0 ? start.file : start.file + 1;
  const between = firstWhole < end.file ? [{ firstFile: firstWhole, endFile: end.file }] : [];
  return [...(start.row === 0 ? [] : within(start.file, start.row, files[start.file]?.rows ?? 0)), ...between, ...within(end.file, 0, end.row)];
}
