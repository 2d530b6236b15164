import { randomUUID } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { assert } from '../../shared/assert.ts';
import type { ObjectStore } from '../stores.ts';
import type { Broker } from './broker.ts';
import { fragment, keyNames, sideRows } from './diff-sql.ts';
import type { DigestFile, DigestPart } from './digest-files.ts';
import { DIGEST_COLUMNS, type Digestible } from './digest-plan.ts';
import { rowGroupRows } from './parquet-options.ts';
import { targetLiteral } from './quote.ts';
import { keyedRowDigest } from './row-digest.ts';
import type { Session } from './session.ts';

export interface DigestMaking {
  readonly broker: Broker;
  readonly limits: Limits;
  readonly lease: ObjectStore['lease'];
  readonly directory: string;
  readonly secret: string;
}

/** Each part waits until nobody needs the engine. */
const WAIT_MS_MAX = 24 * 3_600_000;

/** Writes the digests of a data file's rows, a part after the other. Leaves nothing behind when it fails. */
export async function makeDigests(making: DigestMaking, digestible: Digestible, signal: AbortSignal): Promise<DigestFile> {
  const { content } = digestible.source;
  const size = partRows(digestible, making.limits.diffDigestCellsMax);
  const parts: DigestPart[] = [];
  let bytes = 0;
  try {
    for (let start = 0; start < content.rows; start += size) {
      const part = { path: join(making.directory, `${randomUUID()}.parquet`), rows: Math.min(size, content.rows - start) };
      parts.push(part);
      await making.broker.run('background', { signal, timeoutMs: WAIT_MS_MAX }, (session) => writePart(making, digestible, { session, start, part }));
      bytes += (await stat(part.path)).size;
      // Keys that are long texts take more than was reckoned with.
      if (bytes > making.limits.diffDigestBytesMax) throw new CovistaError('storage_full', 'digests of one file take more than all may');
    }
    return { parts, bytes };
  } catch (error) {
    for (const { path } of parts) await rm(path, { force: true });
    throw error;
  }
}

/** Whole row groups, because one that is cut is read twice. */
function partRows({ source: { content }, recipe: { key, columns } }: Digestible, cellsMax: number): number {
  const group = rowGroupRows(content.schema.length);
  return Math.max(1, Math.floor(cellsMax / (key.length + columns.length) / group)) * group;
}

interface Writing {
  readonly session: Session;
  /** The first row of the part. */
  readonly start: number;
  readonly part: DigestPart;
}

async function writePart(making: DigestMaking, { recipe: { key, columns }, source }: Digestible, { session, start, part }: Writing): Promise<void> {
  const keys = keyNames(key).join(', ');
  const slice = { firstFile: 0, endFile: 1, rows: { start, end: start + part.rows } };
  const rows = sideRows('from', source, { key, columns }, [slice]);
  const digest = { sql: keyedRowDigest(columns.map(({ type }, index) => ({ name: `v${index}`, type }))), values: [making.secret] };
  const [high, low] = DIGEST_COLUMNS;
  // Parquet has no integers of 128 bits.
  const { sql, values } = fragment`SELECT ${keys}, (digest >> 64)::UBIGINT AS ${high}, (digest & ${String(2n ** 64n - 1n)})::UBIGINT AS ${low}
    FROM (SELECT ${keys}, ${digest} AS digest FROM (${rows}))`;
  const options = `FORMAT parquet, COMPRESSION uncompressed, USE_TMP_FILE false, ROW_GROUP_SIZE ${rowGroupRows(key.length + DIGEST_COLUMNS.length)}`;
  const release = await making.lease(source.content.files.map(({ path }) => path));
  try {
    const written = await session.execute(`COPY (${sql}) TO ${targetLiteral(part.path)} (${options})`, values);
    assert(written === part.rows, `${part.rows} rows have ${written} digests`);
  } finally {
    release();
  }
}
