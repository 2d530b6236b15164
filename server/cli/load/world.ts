import type { Client } from '../../../client/index.ts';
import { LOAD_GROUP } from './people.ts';
import { Random } from './random.ts';
import type { World } from './scenario.ts';

const REGIONS = ['North', 'East', 'South', 'West'] as const;
const PRODUCTS = ['Desk', 'Chair', 'Lamp', 'Shelf', 'Table', 'Sofa', 'Bed', 'Mirror', 'Rug', 'Clock'] as const;

/** A dataset that is there, as what the people work on. */
export async function existingWorld(client: Client, datasetId: number): Promise<World> {
  const { versionId } = await client.ref.resolve({ datasetId, ref: 'main' });
  const { rows } = await client.version.get({ datasetId, versionId });
  return { datasetId, rows: rows ?? 0 };
}

interface NewWorld {
  readonly rows: number;
  readonly seed: number;
  readonly groups: boolean;
  readonly signal: AbortSignal;
}

/** A dataset of orders made for the run, which the people may write to. What cannot be finished is removed again. */
export async function makeWorld(client: Client, options: NewWorld): Promise<World> {
  const { rows, groups, signal } = options;
  const { datasetId } = await client.dataset.create({ name: `Load test ${new Date().toISOString()}`, key: ['order'] }, { signal });
  try {
    await client.version.commit({ datasetId, branch: 'main', message: 'Orders of the load test' }, { body: orders(options), signal });
    if (groups) await client.grant.create({ datasetId, principal: `group:${LOAD_GROUP}`, permission: 'write' }, { signal });
  } catch (fault) {
    await client.dataset.delete({ datasetId });
    throw fault;
  }
  return { datasetId, rows };
}

function orders({ rows, seed }: { readonly rows: number; readonly seed: number }): Uint8Array {
  const random = new Random(seed);
  const lines = ['order,day,region,product,customer,quantity,price,discount'];
  for (let order = 1; order <= rows; order += 1) {
    const day = new Date(Date.UTC(2024, 0, 1 + random.below(730))).toISOString().slice(0, 10);
    const [quantity, price] = [1 + random.below(20), (5 + random.below(200_000) / 100).toFixed(2)];
    lines.push(
      `${order},${day},${random.pick(REGIONS)},${random.pick(PRODUCTS)},customer ${random.below(5_000)},${quantity},${price},${random.below(30) / 100}`,
    );
  }
  return new TextEncoder().encode(`${lines.join('\n')}\n`);
}
