import type { Client } from '../../../client/index.ts';
import { UsageError } from '../command.ts';
import { CleanUp, deleteMade } from './clean-up.ts';
import { Random } from './random.ts';
import type { World } from './scenario.ts';

const REGIONS = ['North', 'East', 'South', 'West'] as const;
const PRODUCTS = ['Desk', 'Chair', 'Lamp', 'Shelf', 'Table', 'Sofa', 'Bed', 'Mirror', 'Rug', 'Clock'] as const;

/** Orders that are sent at once. */
const PIECE_BYTES = 64 * 1_024;

const ORDER_GROUPS: World['groups'] = [['region', 'product'], ['product', 'region'], ['region', 'day'], ['product']];
const ORDER_MEASURES: World['measures'] = [
  { column: 'quantity', aggregate: 'sum' },
  { column: 'price', aggregate: 'avg' },
];

/** What DuckDB counts with, and what people group by; lists and structs are neither. */
const NUMERIC = /^(?:U?(?:TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\s*\d+\))$/;
const GROUPING = /^(?:VARCHAR|BOOLEAN|DATE|ENUM\(.*\))$/s;
const COLUMNS_MAX = 2;

/** A dataset that is there, as what the people work on. */
export async function existingWorld(client: Client, datasetId: number): Promise<World> {
  const { versionId } = await client.ref.resolve({ datasetId, ref: 'main' });
  const { rows, schema } = await client.version.get({ datasetId, versionId });
  return { datasetId, versionId, rows: rows ?? 0, ...pivotsOf(schema), isMade: false };
}

/** By the types of the columns: groups of texts, days and yes or no, or else of whatever comes first; sums of numbers, or else counts. */
export function pivotsOf(schema: readonly { readonly name: string; readonly type: string }[]): Pick<World, 'groups' | 'measures'> {
  const named = (kind: RegExp): string[] => schema.filter(({ type }) => kind.test(type)).map(({ name }) => name);
  const [numbers, texts] = [named(NUMERIC).slice(-COLUMNS_MAX), named(GROUPING).slice(0, COLUMNS_MAX)];
  const first = texts[0] ?? numbers[0];
  if (first === undefined)
    throw new UsageError('nobody can pivot this dataset: the head of main has no column of texts, days or numbers that its token may see');
  const second = texts[1];
  const more = second === undefined ? [] : [[first, second], [second, first], [second]];
  const measures = numbers.map((column, index) => ({ column, aggregate: index === 0 ? 'sum' : 'avg' }) as const);
  const [measure = { column: first, aggregate: 'count' }, ...others] = measures;
  return { groups: [[first], ...more], measures: [measure, ...others] };
}

interface NewWorld {
  readonly rows: number;
  readonly seed: number;
  readonly signal: AbortSignal;
  /** Told what was left behind of what could not be finished; undefined: nothing was. */
  readonly tell: (left: string | undefined) => void;
}

/** A dataset of orders made for the run, which the people may write to. What cannot be finished is removed again. */
export async function makeWorld(client: Client, options: NewWorld): Promise<World> {
  const { rows, signal, tell } = options;
  const { datasetId } = await client.dataset.create({ name: `Load test ${new Date().toISOString()}`, key: ['order'] }, { signal });
  try {
    const body = orders(options);
    const { versionId } = await client.version.commit({ datasetId, branch: 'main', message: 'Orders of the load test' }, { body, signal });
    return { datasetId, versionId, rows, groups: ORDER_GROUPS, measures: ORDER_MEASURES, isMade: true };
  } catch (fault) {
    tell(await deleteMade(client, datasetId, new CleanUp()));
    throw fault;
  }
}

/** Never all of them at once, so that there may be as many as the server takes. */
async function* orders({ rows, seed }: { readonly rows: number; readonly seed: number }): AsyncGenerator<Uint8Array> {
  const random = new Random(seed);
  const encoder = new TextEncoder();
  let text = 'order,day,region,product,customer,quantity,price,discount\n';
  for (let order = 1; order <= rows; order += 1) {
    text += `${orderOf(order, random)}\n`;
    if (text.length < PIECE_BYTES) continue;
    yield encoder.encode(text);
    text = '';
  }
  yield encoder.encode(text);
}

function orderOf(order: number, random: Random): string {
  const day = new Date(Date.UTC(2024, 0, 1 + random.below(730))).toISOString().slice(0, 10);
  const [quantity, price] = [1 + random.below(20), (5 + random.below(200_000) / 100).toFixed(2)];
  return `${order},${day},${random.pick(REGIONS)},${random.pick(PRODUCTS)},customer ${random.below(5_000)},${quantity},${price},${random.below(30) / 100}`;
}
