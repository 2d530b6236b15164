import type { Client } from '../../client/index.ts';
import { csv } from './samples.ts';
import type { TestServer } from './server.ts';

/** Orders of two regions: what somebody who sees one of them must never meet is marked with CANARY. */
export const ORDERS = csv(
  'id,region,product,price,margin,day',
  '1,EU,Desk,10,0.5,2026-01-01',
  '2,EU,Chair,5,0.25,2026-01-02',
  '3,EU,Lamp,7,0.125,2026-02-01',
  '4,US,CANARY-desk,90210,0.7734,2026-02-03',
  '5,US,CANARY-lamp,90211,0.7735,2031-07-07',
);

/** Text that is in hidden rows or names a hidden column. */
export const CANARIES = ['CANARY', '90210', '90211', '7734', '7735', '2031', 'margin', 'US'];

export interface TableWorld {
  readonly owner: Client;
  readonly datasetId: number;
}

/** A dataset of orders; `bob` sees the rows of the EU without margins. */
export async function prepareOrders(server: TestServer): Promise<TableWorld> {
  const owner = await server.client('owner');
  const { datasetId } = await owner.dataset.create({ name: 'Orders' });
  await owner.version.commit({ datasetId, branch: 'main' }, { body: ORDERS });
  await owner.grant.create({ datasetId, principal: 'user:bob', permission: 'read', rowFilter: "region = 'EU'", columnMask: ['margin'] });
  await owner.grant.create({ datasetId, principal: 'user:carol', permission: 'read' });
  return { owner, datasetId };
}
