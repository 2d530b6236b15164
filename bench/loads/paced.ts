import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { type Client, connect } from '../../client/index.ts';
import { Recorder } from '../../server/cli/load/recorder.ts';

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
  readonly orders: PacedOrders;
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

/** A quarter of the time goes before it is counted, for what is warmed up. */
const WARM_UP = 0.25;
/** Behind so many, what comes further waits for those in front of it and tells nothing new. */
const UNDER_WAY_MAX = 100;
const ASKED_AT_ONCE = 16;
/** Connections and code that were never used are those of a client that was just started. */
const FIRST_SECONDS = 0.3;
let asked = 0;

type Ask = (place: Place) => Promise<unknown>;

async function measure(orders: PacedOrders, crew: Crew, { name, perSecond }: PacedOrders['operations'][number]): Promise<PacedFigures> {
  const recorder = new Recorder();
  if (perSecond === undefined) await flatOut(orders, crew, { name, recorder });
  else await pace(orders, crew, { name, recorder, perSecond });
  const [figures] = recorder.figures();
  if (figures === undefined) throw new Error(`${name} was not asked`);
  return { name, ...figures, failures: recorder.errors };
}

interface Turn {
  readonly name: PacedName;
  readonly recorder: Recorder;
}

async function pace(
  orders: PacedOrders,
  { clients, viewId }: Crew,
  { name, recorder, perSecond }: Turn & { readonly perSecond: number },
): Promise<void> {
  const ask: Ask = ASK[name];
  const total = Math.ceil(perSecond * orders.seconds * (1 + WARM_UP));
  const startMs = performance.now();
  const answers: Promise<unknown>[] = [];
  for (let request = 0; request < total; request += 1) {
    const dueAtMs = startMs + (request * 1_000) / perSecond;
    await until(dueAtMs);
    // Answers are read also where more is due than can be asked.
    if (request % ASKED_AT_ONCE === 0) await turn();
    if (request === Math.floor(total - perSecond * orders.seconds)) recorder.restart();
    const client = clients[asked % clients.length] as Client;
    answers.push(recorder.measure(name, dueAtMs, (): Promise<unknown> => ask({ client, orders, viewId, number: asked })));
    asked += 1;
  }
  await Promise.all(answers);
}

/** Not a moment before: timers are as coarse as a millisecond, and some come early. */
async function until(atMs: number): Promise<void> {
  for (let waitMs = atMs - performance.now(); waitMs > 0; waitMs = atMs - performance.now()) await (waitMs > 2 ? delay(1) : turn());
}

async function flatOut(orders: PacedOrders, { clients, viewId }: Crew, { name, recorder }: Turn): Promise<void> {
  const ask: Ask = ASK[name];
  const startMs = performance.now();
  const endMs = startMs + orders.seconds * 1_000 * (1 + WARM_UP);
  let isOver = false;
  const loop = async (): Promise<void> => {
    while (!isOver) {
      const number = asked++;
      const client = clients[number % clients.length] as Client;
      await recorder.measure(name, performance.now(), (): Promise<unknown> => ask({ client, orders, viewId, number }));
    }
  };
  const loops = Promise.all(Array.from({ length: Math.min(clients.length, UNDER_WAY_MAX) }, loop));
  await delay(orders.seconds * 1_000 * WARM_UP);
  recorder.restart();
  await delay(endMs - performance.now());
  isOver = true;
  // The rate is that of all answers until the last one.
  await loops;
}

const orders = JSON.parse(process.argv[2] as string) as PacedOrders;
const clients = await connectAll(orders);
const first = clients[0] as Client;
const { viewId } = await first.view.create({ tableId: orders.tableId, columns: ['order_id', 'city', 'quantity', 'unit_price'] });
const crew = { clients, viewId };
await flatOut({ ...orders, seconds: FIRST_SECONDS }, crew, { name: 'session.whoami', recorder: new Recorder() });
for (const operation of orders.operations) process.stdout.write(`${JSON.stringify(await measure(orders, crew, operation))}\n`);
for (const client of clients) client.close();
