import { type Client, connect } from '../../client/index.ts';
import { Recorder } from '../../server/cli/load/recorder.ts';
import { flatOut, pace } from '../support/pace.ts';

/**
 * A process that asks one thing after the other of a server, over as many connections as are wanted: at a steady rate, where a
 * time runs from when a request was due, so that what queues behind a slow answer counts; or as fast as answers come, with a
 * request under way on each connection, but no more than a hundred at once. Takes its orders as JSON in the first argument and prints what it found as JSON, one
 * line an operation.
 */
export interface PacedOrders {
  readonly url: string;
  readonly token: string;
  readonly connections: number;
  readonly seconds: number;
  readonly datasetId: number;
  readonly rows: number;
  readonly tableId: string;
  /** Without a rate: as fast as answers come. */
  readonly operations: readonly { readonly name: PacedName; readonly perSecond?: number }[];
}

export interface PacedFigures {
  readonly name: PacedName;
  readonly count: number;
  /** How often it failed, by action and code. */
  readonly failures: Readonly<Record<string, number>>;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

interface Place {
  readonly client: Client;
  readonly orders: Pick<PacedOrders, 'datasetId' | 'rows' | 'tableId'>;
  readonly viewId: string;
  /** Of all requests of the process, so that names are not given twice. */
  readonly number: number;
}

const PAGE_ROWS = 100;

const ASK = {
  'session.whoami': ({ client }: Place) => client.session.whoami(),
  'ref.resolve': ({ client, orders: { datasetId } }: Place) => client.ref.resolve({ datasetId, ref: 'main~1' }),
  'version.get': ({ client, orders: { datasetId } }: Place) => client.version.get({ datasetId, versionId: 1 }),
  'version.history': ({ client, orders: { datasetId } }: Place) => client.version.history({ datasetId, limit: 20 }),
  'version.preview': ({ client, orders: { datasetId, rows }, number }: Place) => {
    const startRow = (number * 7_919) % Math.max(1, rows - PAGE_ROWS);
    return client.version.preview({ datasetId, versionId: 1, startRow, endRow: startRow + PAGE_ROWS });
  },
  'diff.rows': ({ client, orders: { datasetId } }: Place) => client.diff.rows({ datasetId, from: '1', to: '2', key: ['order_id'], limit: 20 }),
  'table.open': ({ client, orders: { datasetId } }: Place) => client.table.open({ datasetId, ref: '1' }, { perspective: false }),
  'view.data': ({ client, orders: { tableId }, viewId, number }: Place) => {
    const startRow = (number * 31) % 200;
    return client.view.data({ tableId, viewId, startRow, endRow: startRow + PAGE_ROWS });
  },
  'view.create': async ({ client, orders: { tableId }, number }: Place) => {
    const { viewId } = await client.view.create({ tableId, group_by: ['city'], columns: ['quantity'], filter: [['quantity', '>', number % 20]] });
    await client.view.close({ tableId, viewId });
  },
  'document.connect': async ({ client, orders: { datasetId } }: Place) => {
    const document = await client.document.open(`dataset/${datasetId}`);
    await document.whenSynced();
    document.close();
  },
  'dataset.watch': async ({ client, orders: { datasetId } }: Place) => {
    const events = client.dataset.watch({ datasetId })[Symbol.asyncIterator]();
    await events.next();
    await events.return?.();
  },
  'version.fetch': async ({ client, orders: { datasetId } }: Place) => {
    const { bytes } = await client.version.fetch({ datasetId, versionId: 2, format: 'parquet' });
    for await (const piece of bytes) if (piece.length === 0) throw new Error('a download has an empty piece');
  },
  'branch.create': ({ client, orders: { datasetId }, number }: Place) =>
    client.branch.create({ datasetId, name: `branch-${process.pid}-${number}`, from: 'main' }),
  'version.append': ({ client, orders: { datasetId }, number }: Place) =>
    client.version.commit({ datasetId, branch: 'growing', mode: 'append' }, { body: Buffer.from(`id,at\n${process.pid},${number}\n`) }),
  'version.commit': ({ client, orders: { datasetId }, number }: Place) =>
    client.version.commit({ datasetId, branch: 'small', mode: 'replace' }, { body: Buffer.from(`id,at\n${process.pid},${number}\n`) }),
} as const satisfies Record<string, (place: Place) => Promise<unknown>>;

export type PacedName = keyof typeof ASK;

async function connectAll({ url, token, connections }: PacedOrders): Promise<Client[]> {
  const clients = Array.from({ length: connections }, () => connect({ url, token }));
  await Promise.all(clients.map((client) => client.ready()));
  return clients;
}

interface Crew {
  readonly clients: readonly Client[];
  readonly viewId: string;
}

/** Connections and code that were never used are those of a client that was just started. */
const FIRST_SECONDS = 0.3;
/** Of all kinds of requests. */
let asked = 0;

type Ask = (place: Place) => Promise<unknown>;

async function measure(
  { seconds, ...orders }: PacedOrders,
  { clients, viewId }: Crew,
  { name, perSecond }: PacedOrders['operations'][number],
): Promise<PacedFigures> {
  const ask: Ask = ASK[name];
  const recorder = new Recorder();
  const work = (): Promise<unknown> => {
    const number = asked++;
    return ask({ client: clients[number % clients.length] as Client, orders, viewId, number });
  };
  const run = { action: name, seconds, recorder, work };
  await (perSecond === undefined ? flatOut({ ...run, callers: clients.length }) : pace({ ...run, perSecond }));
  const [figures] = recorder.figures();
  if (figures === undefined) throw new Error(`${name} was not asked`);
  return { name, ...figures, failures: recorder.errors };
}

const orders = JSON.parse(process.argv[2] as string) as PacedOrders;
const clients = await connectAll(orders);
const first = clients[0] as Client;
const { viewId } = await first.view.create({ tableId: orders.tableId, columns: ['order_id', 'city', 'quantity', 'unit_price'] });
const crew = { clients, viewId };
await measure({ ...orders, seconds: FIRST_SECONDS }, crew, { name: 'session.whoami' });
for (const operation of orders.operations) process.stdout.write(`${JSON.stringify(await measure(orders, crew, operation))}\n`);
for (const client of clients) client.close();
