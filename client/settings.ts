import type { PerspectiveSource } from './perspective.ts';

/** Where a client gets its token: a text that never changes, or a function that is asked for a fresh one. */
export type TokenSource = string | (() => string | Promise<string>);

export interface ConnectOptions {
  /** Address of the server: `http`, `https`, `ws` or `wss`; `/rpc` is added where it is missing. */
  readonly url: string | URL;
  readonly token: TokenSource;
  /** How the client names itself to the server's log. */
  readonly name?: string;
  readonly settings?: Partial<ClientSettings>;
  /** The package `@perspective-dev/client`, or what imports it; absent: it is imported by its name, which bundlers do not see. */
  readonly perspective?: PerspectiveSource;
}

/** Every bound and time of the client, in the units of their names. */
export interface ClientSettings {
  /** A socket that has no welcome by then is given up. */
  readonly connectTimeoutMs: number;
  /** The first reconnect waits up to this, each next one up to twice as long. */
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** Attempts in a row that may fail before the client closes; infinite by default. */
  readonly attemptsMax: number;
  /** A connection that is silent for so long is probed, and given up when it stays silent for as long again. */
  readonly heartbeatMs: number;
  /** A token from a function is replaced so long before it expires, or at half of its life when that is shorter; this often where the clock here is ahead. */
  readonly refreshBeforeMs: number;
  /** Requests that wait for a connection or for one of the server's places. */
  readonly waitingMax: number;
  /** Most bytes of fragments that are not yet whole. */
  readonly fragmentsBytesMax: number;
  /** Time limits of requests that set none; a little above the server's own, so that its answer comes first. */
  readonly queryTimeoutMs: number;
  readonly commandTimeoutMs: number;
  /** Bytes of one upload.write; the most that a lost connection costs to send again. */
  readonly uploadChunkBytes: number;
  /** Edits of a document that follow each other sooner are sent as one. */
  readonly editIntervalMs: number;
  /** Presence in a document is sent at most once in this time. */
  readonly presenceIntervalMs: number;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const MiB = 1024 * 1024;

export const defaultSettings: ClientSettings = {
  connectTimeoutMs: 10 * SECOND,
  backoffBaseMs: 250,
  backoffMaxMs: 3 * SECOND,
  attemptsMax: Number.POSITIVE_INFINITY,
  heartbeatMs: 30 * SECOND,
  refreshBeforeMs: MINUTE,
  waitingMax: 10_000,
  fragmentsBytesMax: 64 * MiB,
  queryTimeoutMs: 5 * MINUTE + 30 * SECOND,
  commandTimeoutMs: 60 * MINUTE + 30 * SECOND,
  uploadChunkBytes: 8 * MiB,
  editIntervalMs: 10,
  presenceIntervalMs: 100,
};

const PROTOCOLS: Readonly<Record<string, string>> = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' };

/** The address of the socket that belongs to the address of a server; throws `TypeError` when it is none. */
export function socketUrl(address: string | URL): URL {
  const url = new URL(address);
  const protocol = PROTOCOLS[url.protocol];
  if (protocol === undefined) throw new TypeError(`the address of a server begins with http, https, ws or wss, not ${url.protocol}`);
  const path = url.pathname.replace(/\/+$/, '');
  const target = new URL(`${protocol}//${url.host}${path.endsWith('/rpc') ? path : `${path}/rpc`}`);
  return target;
}
