import { httpUrl, isLoopback } from '../shared/addresses.ts';
import { type ClientAddress, type FlagValues, textFlag, UsageError } from './command.ts';

/** Addresses of a server by their scheme; what goes over HTTP there goes over the sockets of the others as well. */
const SCHEMES: Readonly<Record<string, string>> = { 'http:': 'http:', 'https:': 'https:', 'ws:': 'http:', 'wss:': 'https:' };
/** A server that listens on every address of its machine is reached from there by one of them. */
const LISTENING: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '[::]': '[::1]' };

interface Told {
  readonly flags: FlagValues;
  readonly client: Pick<ClientAddress, 'url'>;
  readonly config: Parameters<typeof httpUrl>[0];
}

/** Where a client command finds its server, by HTTP: the flag, else COVISTA_URL, else the host and port of the settings. */
export function serverUrl({ flags, client, config }: Told): URL {
  const text = textFlag(flags, 'url') ?? client.url ?? httpUrl(config);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = SCHEMES[url?.protocol ?? ''];
  if (url === undefined || scheme === undefined)
    throw new UsageError(`a server has an address such as http://127.0.0.1:8080 (or https, ws, wss), not "${text}"`);
  url.protocol = scheme;
  url.hostname = LISTENING[url.hostname] ?? url.hostname;
  return url;
}

/** Whether it is on this machine. */
export const isLocal = ({ hostname }: URL): boolean => isLoopback(hostname.replace(/^\[(.*)\]$/, '$1'));
