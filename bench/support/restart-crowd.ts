import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, connect, type LiveDocument } from '../../client/index.ts';

export interface RestartOptions {
  readonly url: string;
  readonly token: (subject: string) => Promise<string> | string;
  readonly clients: number;
  /** Clients that share one document. */
  readonly perDocument: number;
  /** Notes in each document before the restart, so that the whole is much more than a difference. */
  readonly notes: number;
  /** Stops the server and starts it anew at the same address; answers when it was ready, as `performance.now()` tells. */
  readonly restart: () => Promise<number>;
  /** How long to wait for those that do not come back. */
  readonly giveUpMs: number;
}

export interface RestartReport {
  readonly clients: number;
  /** From the server being ready until each client had its connection and its document again, sorted. */
  readonly backMs: readonly number[];
  /** Commands that were sent, those whose success was told, and those that failed. */
  readonly commands: { readonly sent: number; readonly acknowledged: number; readonly failed: readonly string[]; readonly lost: number };
  /** Bytes that all clients received from the first document until they were in step, and after the restart until they were again. */
  readonly firstBytes: number;
  readonly againBytes: number;
}

/** Counts what sockets of this process receive. */
class CountingSocket extends WebSocket {
  static receivedBytes = 0;

  constructor(url: string | URL) {
    super(url);
    this.addEventListener('message', ({ data }) => {
      if (data instanceof ArrayBuffer) CountingSocket.receivedBytes += data.byteLength;
    });
  }
}

const NOTE = 'x'.repeat(400);
/** Connections that are opened at once. */
const OPENING = 50;

/** Many clients with a document each meet a restart of the server; some of them go on committing throughout. */
export async function meetRestart(options: RestartOptions): Promise<RestartReport> {
  const original = globalThis.WebSocket;
  globalThis.WebSocket = CountingSocket;
  const clients: Client[] = [];
  try {
    const owner = connect({ url: options.url, token: await options.token('owner') });
    clients.push(owner);
    const datasets = await prepare(owner, options);
    CountingSocket.receivedBytes = 0;
    const documents = await openAll(clients, datasets, options);
    const firstBytes = CountingSocket.receivedBytes;
    const writers = startWriters(clients.slice(1), datasets, options);
    await sleep(500);
    const watching = documents.map((document) => backAgain(document));
    CountingSocket.receivedBytes = 0;
    const readyAtMs = await options.restart();
    const returned = await Promise.all(
      watching.map((when) => Promise.race([when, sleep(options.giveUpMs, Number.POSITIVE_INFINITY, { ref: false })])),
    );
    const againBytes = CountingSocket.receivedBytes;
    const commands = await writers.stop(owner);
    const backMs = returned.map((atMs) => atMs - readyAtMs).sort((one, other) => one - other);
    return { clients: documents.length, backMs, commands, firstBytes, againBytes };
  } finally {
    globalThis.WebSocket = original;
    for (const client of clients) client.close();
  }
}

async function prepare(owner: Client, { clients, perDocument, notes }: RestartOptions): Promise<number[]> {
  const datasets: number[] = [];
  for (let index = 0; index < Math.ceil(clients / perDocument); index += 1) {
    const { datasetId } = await owner.dataset.create({ name: `Restart ${index}` });
    await owner.version.commit({ datasetId, branch: 'main' }, { body: new TextEncoder().encode('id\n0\n') });
    await owner.grant.create({ datasetId, principal: 'group:crowd', permission: 'write' });
    const document = await owner.document.open(`dataset/${datasetId}`);
    for (let note = 0; note < notes; note += 1) document.annotations.add(`${NOTE}${note}`);
    await document.whenDurable();
    document.close();
    datasets.push(datasetId);
  }
  return datasets;
}

async function openAll(clients: Client[], datasets: readonly number[], options: RestartOptions): Promise<LiveDocument[]> {
  const documents: LiveDocument[] = [];
  for (let from = 0; from < options.clients; from += OPENING) {
    const numbers = Array.from({ length: Math.min(OPENING, options.clients - from) }, (_, index) => from + index);
    const opened = numbers.map(async (number) => {
      const client = connect({ url: options.url, token: await options.token(`person-${number}`) });
      clients.push(client);
      const document = await client.document.open(`dataset/${datasets[Math.floor(number / options.perDocument)]}`);
      await document.whenSynced();
      return document;
    });
    documents.push(...(await Promise.all(opened)));
  }
  return documents;
}

/** When the document was in step again after it was not. */
function backAgain(document: LiveDocument): Promise<number> {
  return new Promise((resolve) => {
    let wasAway = false;
    const stop = document.onState(({ kind }) => {
      if (kind === 'connecting') wasAway = true;
      if (kind !== 'synced' || !wasAway) return;
      stop();
      resolve(performance.now());
    });
  });
}

interface Writers {
  stop(owner: Client): Promise<RestartReport['commands']>;
}

/** One client of a hundred creates tags without end; each that it is told of must be there afterwards. */
function startWriters(clients: readonly Client[], datasets: readonly number[], { perDocument }: RestartOptions): Writers {
  let isStopped = false;
  let sent = 0;
  const failed: string[] = [];
  const made: { readonly datasetId: number; readonly name: string }[] = [];
  const write = async (client: Client, datasetId: number, number: number): Promise<void> => {
    for (let turn = 0; !isStopped; turn += 1) {
      const name = `w${number}-${turn}`;
      sent += 1;
      await client.tag.create({ datasetId, name, ref: 'main' }).then(
        () => made.push({ datasetId, name }),
        (fault: unknown) => failed.push(String(fault)),
      );
      await sleep(50);
    }
  };
  const running = clients.flatMap((client, number) => {
    const datasetId = datasets[Math.floor(number / perDocument)];
    return number % 100 === 0 && datasetId !== undefined ? [write(client, datasetId, number)] : [];
  });
  return {
    stop: async (owner) => {
      isStopped = true;
      await Promise.all(running);
      const found = new Set<string>();
      for (const datasetId of datasets) for await (const { name } of owner.items(owner.tag.list, { datasetId })) found.add(`${datasetId} ${name}`);
      const lost = made.filter(({ datasetId, name }) => !found.has(`${datasetId} ${name}`)).length;
      return { sent, acknowledged: made.length, failed, lost };
    },
  };
}
