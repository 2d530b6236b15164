import type { OpenedTable, PerspectiveSource } from '../../index.ts';
import { loadViewer } from './viewer.ts';

export type { OpenedTable };

/** The client that tables are spoken to with; it lives in the module of the viewer, which has to be there first. */
export const perspectiveOfViewer: PerspectiveSource = async () => {
  const [client] = await Promise.all([import('@perspective-dev/client'), loadViewer()]);
  return client;
};
