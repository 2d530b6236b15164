import type { Client, OpenedTable } from '../../index.ts';
import { loadViewer } from './viewer.ts';

export type { OpenedTable };

/** Opens a ref as a table while the viewer, which brings the client that tables are spoken to with, is loaded. */
export async function openTable(client: Client, datasetId: number, ref: string): Promise<OpenedTable> {
  await Promise.all([client.table.open({ datasetId, ref }, { perspective: false }), loadViewer()]);
  return client.table.open({ datasetId, ref });
}
