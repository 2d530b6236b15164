import type { Limits } from '../../../protocol/limits.ts';
import type { PerspectiveRequest, WireViewPort } from '../../shared/perspective/types.ts';
import { RequestFault } from './request-fault.ts';

/** The part of a view that a request reads; null: all of it. */
export function windowOf({ kind, body }: PerspectiveRequest): WireViewPort | null {
  switch (kind) {
    case 'view_to_arrow':
    case 'view_to_csv':
    case 'view_to_columns_string':
    case 'view_to_rows_string':
    case 'view_to_ndjson_string':
      return body.viewport;
    default:
      return null;
  }
}

/** Throws RequestFault where a window has more cells than one answer may. */
export function checkWindow(
  window: WireViewPort | null,
  size: { readonly rows: number; readonly columns: number },
  { viewCellsMax }: Pick<Limits, 'viewCellsMax'>,
): void {
  const rows = extent(window?.start_row, window?.end_row, size.rows);
  const columns = extent(window?.start_col, window?.end_col, size.columns);
  if (rows * columns <= viewCellsMax) return;
  const message = `the window has ${rows} rows and ${columns} columns; read at most ${viewCellsMax} cells at once, or export the view`;
  throw new RequestFault(message, 'payload_too_large');
}

function extent(start: number | undefined, end: number | undefined, size: number): number {
  const from = Math.min(start ?? 0, size);
  return Math.max(0, Math.min(end ?? size, size) - from);
}
