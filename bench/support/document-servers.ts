import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEncoder, toUint8Array, writeUint8Array, writeVarString, writeVarUint } from 'lib0/encoding';
import { updateMessage } from './document-edits.ts';
import { firstLine } from './load.ts';
import { RawSocket } from './raw-socket.ts';
import { type BenchServer, startBenchServer } from './server.ts';
import { collect, spawnWatched } from './watched.ts';

/** A server of Yjs documents, and how the messages of y-websocket travel to it. */
export interface DocumentServer {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  /** Lets it collect the garbage of its main thread. */
  collect(): Promise<void>;
  /** Where the document of a number is. */
  path(document: number): string;
  /** A message as this server wants it. */
  wrap(message: Uint8Array, document: number): Uint8Array;
  /** Bytes before a message of this server. */
  prefixBytes(document: number): number;
  /** What comes first on a connection. */
  greeting(document: number): Uint8Array[];
}

export interface Rivals {
  readonly covista: DocumentServer;
  readonly peers: readonly DocumentServer[];
  readonly server: BenchServer;
  stop(): Promise<void>;
}

/** Covista with documents `dataset/1` up to so many, and the peers, each in a process of its own. */
export async function startRivals(documents: number, settings: Readonly<Record<string, string>> = {}): Promise<Rivals> {
  const children: ChildProcess[] = [];
  const server = await startBenchServer(settings);
  const stop = async (): Promise<void> => {
    for (const child of children) child.kill();
    await server.stop();
  };
  try {
    await createDatasets(server, documents);
    const peers = await Promise.all([yWebsocket(children), hocuspocus(children)]);
    return { covista: covistaOf(server), peers, server, stop };
  } catch (fault) {
    await stop();
    throw fault;
  }
}

export async function createDatasets(server: BenchServer, count: number): Promise<void> {
  const client = await server.client('bench');
  for (let made = 0; made < count; made += 50) {
    const some = Array.from({ length: Math.min(50, count - made) }, (_, index) => client.dataset.create({ name: `Documents ${made + index}` }));
    await Promise.all(some);
  }
  client.close();
}

const AS_IS = { wrap: (message: Uint8Array): Uint8Array => message, prefixBytes: () => 0, greeting: () => [] };

/** The whole way of any y-websocket client: token, grants, validation, attribution, metrics and the database. */
export function covistaOf(server: BenchServer): DocumentServer {
  const token = encodeURIComponent(server.token('bench'));
  const path = (document: number): string => `/documents/dataset/${document}?token=${token}`;
  return { ...AS_IS, name: 'Covista', port: Number(new URL(server.url).port), pid: server.pid, collect: () => server.collect(), path };
}

async function yWebsocket(children: ChildProcess[]): Promise<DocumentServer> {
  return { ...AS_IS, ...(await startPeer('y-websocket', children)), name: '@y/websocket-server', path: (document) => `/dataset-${document}` };
}

/** Its messages begin with the name of their document, and a token comes before all others. */
async function hocuspocus(children: ChildProcess[]): Promise<DocumentServer> {
  const nameOf = (document: number): string => `dataset-${document}`;
  const wrap = (message: Uint8Array, document: number): Uint8Array => {
    const encoder = createEncoder();
    writeVarString(encoder, nameOf(document));
    writeUint8Array(encoder, message);
    return toUint8Array(encoder);
  };
  const token = createEncoder();
  for (const number of [2, 0]) writeVarUint(token, number);
  for (const text of ['token', '4.7.0']) writeVarString(token, text);
  return {
    ...(await startPeer('hocuspocus', children)),
    name: '@hocuspocus/server',
    path: () => '/',
    wrap,
    prefixBytes: (document) => nameOf(document).length + 1,
    greeting: (document) => [wrap(toUint8Array(token), document)],
  };
}

async function startPeer(program: string, children: ChildProcess[]): Promise<Pick<DocumentServer, 'port' | 'pid' | 'collect'>> {
  const child = spawnWatched([join(import.meta.dirname, `../peers/${program}.ts`)]);
  children.push(child);
  return { port: Number(new URL(await firstLine(child)).port), pid: child.pid as number, collect: () => collect(child) };
}

const [SYNC, STEP_2] = [0, 1];
/** Asks for all of a document: an empty state vector. */
const STEP_1 = Uint8Array.of(SYNC, 0, 1, 0);
/** Has nothing that the server lacks: an update without structs and removals. */
export const NOTHING_NEW = Uint8Array.of(SYNC, STEP_2, 2, 0, 0);

/** A document that is open and synced. */
export class OpenDocument {
  readonly socket: RawSocket;
  readonly #server: DocumentServer;
  readonly #document: number;

  private constructor(socket: RawSocket, server: DocumentServer, document: number) {
    this.socket = socket;
    this.#server = server;
    this.#document = document;
  }

  static async open(server: DocumentServer, document: number): Promise<OpenDocument> {
    const socket = await RawSocket.open(server.port, server.path(document));
    const opened = new OpenDocument(socket, server, document);
    const synced = opened.#synced();
    for (const message of server.greeting(document)) socket.send(message);
    opened.send(STEP_1);
    opened.send(NOTHING_NEW);
    await synced;
    return opened;
  }

  send(message: Uint8Array): void {
    this.socket.send(this.#server.wrap(message, this.#document));
  }

  /** Sends an update as a message of y-websocket. */
  sendUpdate(update: Uint8Array): void {
    this.send(updateMessage(update));
  }

  /** Resolves when everything that was sent before is with the server: it answers what has it. */
  async settled(): Promise<void> {
    const synced = this.#synced();
    this.send(STEP_1);
    await synced;
  }

  #synced(): Promise<void> {
    const at = this.#server.prefixBytes(this.#document);
    return new Promise((resolve) => {
      this.socket.onMessage = (payload) => {
        if (payload[at] !== SYNC || payload[at + 1] !== STEP_2) return;
        this.socket.onMessage = () => undefined;
        resolve();
      };
    });
  }
}

const BATCH = 50;

export async function openMany(server: DocumentServer, documents: readonly number[]): Promise<OpenDocument[]> {
  const opened: OpenDocument[] = [];
  for (let at = 0; at < documents.length; at += BATCH) {
    opened.push(...(await Promise.all(documents.slice(at, at + BATCH).map((document) => OpenDocument.open(server, document)))));
  }
  return opened;
}

/** Resident memory of a process in bytes. */
export function residentBytesOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}
