import { setTimeout as sleep } from 'node:timers/promises';
import * as Y from 'yjs';
import { type Client, connect, type LiveDocument } from '../../client/index.ts';
import { PlainClient } from './plain-client.ts';

export interface RestartOptions {
  readonly url: string;
  readonly token: (subject: string) => Promise<string> | string;
  readonly clients: number;
  /** How many of them are the SDK's: one in so many. The others say the same at a fraction of the cost. */
  readonly sdkEvery: number;
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

/** One of the crowd, whatever it runs on. */
interface Member {
  /** When it had its document again after it had lost it, as `performance.now()` tells; to be asked before. */
  back(): Promise<number>;
}

/** Many clients with a document each meet a restart of the server; some of those of the SDK go on committing throughout. */
export async function meetRestart(options: RestartOptions): Promise<RestartReport> {
  const original = globalThis.WebSocket;
  globalThis.WebSocket = CountingSocket;
  const closing: { close(): void }[] = [];
  let writers: Writers | undefined;
  try {
    const owner = connect({ url: options.url, token: await options.token('owner') });
    closing.push(owner);
    const datasets = await prepare(owner, options);
    countAnew();
    const crowd = await new Crowd(options, datasets, closing).gather();
    const firstBytes = receivedBytes();
    writers = startWriters(crowd.clients, datasets);
    await sleep(500);
    const watching = crowd.members.map((member) => member.back());
    countAnew();
    const readyAtMs = await options.restart();
    const returned = await Promise.all(
      watching.map((when) => Promise.race([when, sleep(options.giveUpMs, Number.POSITIVE_INFINITY, { ref: false })])),
    );
    const againBytes = receivedBytes();
    await writers.stop();
    const commands = await writers.report(owner);
    const backMs = returned.map((atMs) => atMs - readyAtMs).sort((one, other) => one - other);
    return { clients: crowd.members.length, backMs, commands, firstBytes, againBytes };
  } finally {
    globalThis.WebSocket = original;
    for (const one of closing) one.close();
    await writers?.stop();
  }
}

const receivedBytes = (): number => CountingSocket.receivedBytes + PlainClient.receivedBytes;

function countAnew(): void {
  CountingSocket.receivedBytes = 0;
  PlainClient.receivedBytes = 0;
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

class Crowd {
  readonly members: Member[] = [];
  /** Those of the SDK, each with the number of its document. */
  readonly clients: { readonly client: Client; readonly document: number }[] = [];
  readonly #options: RestartOptions;
  readonly #datasets: readonly number[];
  readonly #closing: { close(): void }[];
  readonly #copies: readonly Y.Doc[];

  constructor(options: RestartOptions, datasets: readonly number[], closing: { close(): void }[]) {
    this.#options = options;
    this.#datasets = datasets;
    this.#closing = closing;
    this.#copies = datasets.map(() => new Y.Doc());
  }

  async gather(): Promise<this> {
    const { clients } = this.#options;
    for (let from = 0; from < clients; from += OPENING) {
      const numbers = Array.from({ length: Math.min(OPENING, clients - from) }, (_, index) => from + index);
      this.members.push(...(await Promise.all(numbers.map((number) => this.#join(number)))));
    }
    return this;
  }

  async #join(number: number): Promise<Member> {
    const { url, token, perDocument, sdkEvery } = this.#options;
    const document = Math.floor(number / perDocument);
    const subject = `person-${number}`;
    const given = { url, token: await token(subject), subject, document };
    return number % sdkEvery === 0 ? this.#joinBySdk(given) : this.#joinPlainly(given);
  }

  async #joinBySdk({ url, token, document }: Joining): Promise<Member> {
    const client = connect({ url, token });
    this.#closing.push(client);
    this.clients.push({ client, document });
    const opened = await client.document.open(this.#nameOf(document));
    await opened.whenSynced();
    return { back: () => backAgain(opened) };
  }

  async #joinPlainly({ url, document, ...who }: Joining): Promise<Member> {
    const copy = this.#copies[document] as Y.Doc;
    const client = new PlainClient({ ...who, port: Number(new URL(url).port), document: this.#nameOf(document), copy });
    this.#closing.push(client);
    await client.whenSynced();
    return { back: () => client.whenBack().then(() => performance.now()) };
  }

  #nameOf(document: number): string {
    return `dataset/${this.#datasets[document]}`;
  }
}

interface Joining {
  readonly url: string;
  readonly token: string;
  readonly subject: string;
  /** Its place in the row of documents. */
  readonly document: number;
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
  stop(): Promise<void>;
  /** What became of the commands, once stopped. */
  report(owner: Client): Promise<RestartReport['commands']>;
}

/** Every second client of the SDK creates tags without end; each that it is told of must be there afterwards. */
function startWriters(clients: Crowd['clients'], datasets: readonly number[]): Writers {
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
  const running = clients.flatMap(({ client, document }, number) => {
    const datasetId = datasets[document];
    return number % 2 === 0 && datasetId !== undefined ? [write(client, datasetId, number)] : [];
  });
  return {
    stop: async () => {
      isStopped = true;
      await Promise.all(running);
    },
    report: async (owner) => {
      const found = new Set<string>();
      for (const datasetId of datasets) for await (const { name } of owner.items(owner.tag.list, { datasetId })) found.add(`${datasetId} ${name}`);
      const lost = made.filter(({ datasetId, name }) => !found.has(`${datasetId} ${name}`)).length;
      return { sent, acknowledged: made.length, failed, lost };
    },
  };
}
