import type { Limits } from '../../../protocol/limits.ts';
import type { PerspectiveRequest, WireViewPort } from '../../shared/perspective/types.ts';
import { RequestFault } from './request-fault.ts';

interface Size {
  readonly rows: number;
  readonly columns: number;
}

/**
 * What reads a part of a view, within the bounds of the view and with no end before its start: Perspective's engine loses columns where
 * a bound is near 2^32, and comes to no end where it is asked for paths of columns behind the last. Throws RequestFault where a window
 * has more cells than one answer may.
 */
export function withinView(request: PerspectiveRequest, size: Size, limits: Pick<Limits, 'viewCellsMax'>): PerspectiveRequest {
  switch (request.kind) {
    case 'view_column_paths':
      return { ...request, body: { ...request.body, ...columnsWithin(request.body, size) } };
    case 'view_to_arrow':
    case 'view_to_csv':
    case 'view_to_columns_string':
    case 'view_to_rows_string':
    case 'view_to_ndjson_string': {
      const viewport = request.body.viewport && windowWithin(request.body.viewport, size);
      checkCells(viewport, size, limits);
      return { ...request, body: { ...request.body, viewport } } as PerspectiveRequest;
    }
    default:
      return request;
  }
}

type Columns = Pick<WireViewPort, 'start_col' | 'end_col'>;

function columnsWithin({ start_col, end_col }: Columns, { columns }: Size): Columns {
  const { start, end } = within(start_col, end_col, columns);
  return { ...(start_col === undefined ? {} : { start_col: start }), ...(end_col === undefined ? {} : { end_col: end }) };
}

function windowWithin(window: WireViewPort, size: Size): WireViewPort {
  const { start_row, end_row } = window;
  const { start, end } = within(start_row, end_row, size.rows);
  const rows = { ...(start_row === undefined ? {} : { start_row: start }), ...(end_row === undefined ? {} : { end_row: end }) };
  return { ...window, ...rows, ...columnsWithin(window, size) };
}

function within(start: number | undefined, end: number | undefined, size: number): { readonly start: number; readonly end: number } {
  const from = Math.min(start ?? 0, size);
  return { start: from, end: Math.max(from, Math.min(end ?? size, size)) };
}

function checkCells(window: WireViewPort | null, size: Size, { viewCellsMax }: Pick<Limits, 'viewCellsMax'>): void {
  const [rows, columns] = [within(window?.start_row, window?.end_row, size.rows), within(window?.start_col, window?.end_col, size.columns)].map(
    ({ start, end }) => end - start,
  ) as [number, number];
  if (rows * columns <= viewCellsMax) return;
  const message = `the window has ${rows} rows and ${columns} columns; read at most ${viewCellsMax} cells at once, or export the view`;
  throw new RequestFault(message, 'payload_too_large');
}
