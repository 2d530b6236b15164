import { type Client, connect } from '../../index.ts';
import { perspectiveOfViewer } from '../explore/open-table.ts';

/** Connects as whoever the token belongs to. */
export function connectAs(token: string): Client {
  return connect({ url: location.origin, token, name: 'covista-workbench', perspective: perspectiveOfViewer });
}
