import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { CovistaError } from '../../../protocol/errors.ts';
import type { ViewId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { ContentStore, Control } from '../../storage/content-store.ts';
import type { StagingStore } from '../../storage/stores.ts';
import type { DownloadHead } from '../versioning/downloads.ts';
import type { TableAt } from './tables.ts';
import type { BytesFormat, OpenView, Views } from './views.ts';

export type ExportedFormat = BytesFormat | 'parquet';

export interface ViewExports {
  /** All rows of a view: first the head, then the bytes. */
  export(at: TableAt, viewId: ViewId, format: ExportedFormat, control: Control): AsyncIterable<DownloadHead | Uint8Array>;
  /** A window of a view in a format; `payload_too_large` where it is larger than a window may be. */
  window(
    at: TableAt,
    viewId: ViewId,
    request: { readonly format: BytesFormat; readonly startRow: number; readonly endRow: number | undefined },
    control: Control,
  ): Promise<{ readonly contentType: string; readonly content: Uint8Array }>;
}

interface ViewExportsOptions {
  readonly views: Pick<Views, 'open'>;
  readonly content: Pick<ContentStore, 'ingest'>;
  readonly staging: Pick<StagingStore, 'stage' | 'discard'>;
  readonly limits: Limits;
}

export const CONTENT_TYPES: Readonly<Record<ExportedFormat, string>> = {
  csv: 'text/csv; charset=utf-8',
  ndjson: 'application/x-ndjson',
  arrow: 'application/vnd.apache.arrow.stream',
  parquet: 'application/vnd.apache.parquet',
};

export function createViewExports({ views, content, staging, limits }: ViewExportsOptions): ViewExports {
  /** Written by whoever writes Parquet for versions, of the Arrow that the engine gives. */
  async function* parquet(view: OpenView, control: Control): AsyncGenerator<Uint8Array> {
    const staged = await staging.stage(once(await whole(view)), { bytesMax: limits.uploadBytesMax, signal: control.signal });
    try {
      const source = { path: staged.path, bytes: staged.bytes, format: 'arrow', onto: undefined } as const;
      const { file } = await content.ingest(source, control);
      if (file === null) throw new CovistaError('unprocessable_data', 'the rows of the view cannot be written as Parquet');
      try {
        yield* createReadStream(file.path);
      } finally {
        await staging.discard(file.path);
      }
    } finally {
      await staged.durable;
      await staging.discard(staged.path);
    }
  }

  return {
    export: async function* (at, viewId, format, control) {
      const view = await views.open(at, viewId, control);
      // Over HTTP there is no other status once the head is there.
      if (format === 'parquet' || format === 'arrow') requireWhole(view, limits);
      yield headOf(view.identity, format);
      if (format === 'parquet') yield* parquet(view, control);
      else if (format === 'arrow') yield await whole(view);
      else yield* inPieces(view, format, limits, control);
    },
    window: async (at, viewId, { format, startRow, endRow }, control) => {
      const view = await views.open(at, viewId, control);
      const end = Math.max(startRow, Math.min(endRow ?? startRow + limits.pageItemsDefault, view.rows));
      if (end - startRow > limits.viewRowsMax || (end - startRow) * view.columns > limits.viewCellsMax)
        throw tooLarge(end - startRow, view.columns, limits);
      return { contentType: CONTENT_TYPES[format], content: bytesOf(await view.read(format, { startRow, endRow: end })) };
    },
  };
}

const bytesOf = (data: Uint8Array | string): Uint8Array => (typeof data === 'string' ? new TextEncoder().encode(data) : data);

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function headOf(identity: string, format: ExportedFormat): DownloadHead {
  const etag = `"${createHash('sha256').update(`${identity} ${format}`).digest('hex')}"`;
  const unknown = { bytes: null, totalBytes: null, rangeStart: null } as const;
  return {
    contentType: CONTENT_TYPES[format],
    fileName: `view.${format}`,
    ...unknown,
    etag,
    encoding: 'identity',
    lastModified: new Date().toISOString(),
  };
}

/** A format that knows its end at its beginning is written at once, within the bounds of a window. */
function requireWhole(view: OpenView, limits: Limits): void {
  if (view.rows * view.columns > limits.viewCellsMax) throw tooLarge(view.rows, view.columns, limits);
}

async function whole(view: OpenView): Promise<Uint8Array> {
  return bytesOf(await view.read('arrow', { startRow: 0, endRow: view.rows }));
}

/** Pieces begin small and double, for it is not known how long a row is, up to where they have some bytes. */
async function* inPieces(view: OpenView, format: 'csv' | 'ndjson', limits: Limits, control: Control): AsyncGenerator<Uint8Array> {
  const rowsMax = Math.max(1, Math.min(limits.viewExportRows, Math.floor(limits.viewCellsMax / view.columns)));
  let rowsAtOnce = Math.min(FIRST_ROWS, rowsMax);
  for (let startRow = 0; startRow === 0 || startRow < view.rows; ) {
    control.signal.throwIfAborted();
    const endRow = Math.min(view.rows, startRow + rowsAtOnce);
    const piece = String(await view.read(format, { startRow, endRow }));
    const text = startRow > 0 && format === 'csv' ? piece.slice(headerLength(piece)) : piece;
    const bytes = bytesOf(text === '' || text.endsWith('\n') ? text : `${text}\n`);
    yield bytes;
    startRow += rowsAtOnce;
    const fitting = Math.floor((PIECE_BYTES * rowsAtOnce) / Math.max(1, bytes.length));
    rowsAtOnce = Math.max(1, Math.min(rowsMax, 2 * rowsAtOnce, fitting));
  }
}

/** Rows of the first piece of an export, of which each may have texts of some megabytes. */
const FIRST_ROWS = 4;
/** About what a piece of an export has. */
const PIECE_BYTES = 4 * 2 ** 20;

/** How long the first line of a CSV text is; names of columns may hold line breaks. */
function headerLength(text: string): number {
  let isQuoted = false;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '"') isQuoted = !isQuoted;
    else if (text[at] === '\n' && !isQuoted) return at + 1;
  }
  return text.length;
}

function tooLarge(rows: number, columns: number, { viewRowsMax, viewCellsMax }: Limits): CovistaError {
  const message = `${rows} rows and ${columns} columns are more than this format takes at once: ${viewRowsMax} rows of a window, ${viewCellsMax} cells`;
  return new CovistaError('payload_too_large', message, { rows, columns, viewRowsMax, viewCellsMax });
}
