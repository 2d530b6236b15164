import { BlockList, isIP, SocketAddress } from 'node:net';

/** Networks as `10.0.0.0/8` or single addresses; throws RangeError for what is neither. */
export function parseNetworks(texts: readonly string[]): BlockList {
  const networks = new BlockList();
  for (const text of texts) {
    const [, address = '', prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
    const version = isIP(address);
    const bits = prefix === undefined ? undefined : Number(prefix);
    if (version === 0 || (bits !== undefined && bits > (version === 4 ? 32 : 128))) throw new RangeError(`"${text}" is no address or network`);
    const family = version === 4 ? 'ipv4' : 'ipv6';
    if (bits === undefined) networks.addAddress(address, family);
    else networks.addSubnet(address, bits, family);
  }
  return networks;
}

/** An address in its one usual spelling; IPv4 within IPv6 as IPv4. Undefined for what is no address. */
export function canonicalAddress(text: string): string | undefined {
  const version = isIP(text);
  if (version === 0) return undefined;
  // An IPv4 address has one spelling only.
  if (version === 4) return text;
  const { address } = new SocketAddress({ address: text, family: 'ipv6' });
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

/**
 * Whom a request comes from: the peer, or, where that is a trusted proxy, who it says it forwards for. Of several names in
 * X-Forwarded-For the last one counts that no trusted proxy has, since everything before it may be made up.
 */
export function originOf(peer: string, forwardedFor: string, trusted: BlockList): string {
  let address = canonicalAddress(peer) ?? peer;
  if (forwardedFor === '') return address;
  const claimed = forwardedFor.split(',').reverse();
  for (const name of claimed) {
    if (!isWithin(address, trusted)) break;
    const next = canonicalAddress(name.trim());
    if (next === undefined) break;
    address = next;
  }
  return address;
}

export function isWithin(address: string, networks: BlockList): boolean {
  const version = isIP(address);
  return version !== 0 && networks.check(address, version === 4 ? 'ipv4' : 'ipv6');
}

/** Under what an address is counted: whoever has an IPv6 address has the 2^64 of its network. */
export function countedAddress(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length);
  return [...groups, ...Array<string>(missing).fill('0'), ...(tail ?? '').split(':')].slice(0, 4).join(':');
}

const LOOPBACK = parseNetworks(['127.0.0.0/8', '::1']);

/** Whether only this machine reaches what listens there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || isWithin(canonicalAddress(host) ?? '', LOOPBACK);
}

/** The address by HTTP of what listens there. */
export function httpUrl({ host, port, tls }: { readonly host: string; readonly port: number; readonly tls: object | undefined }): string {
  return `${tls === undefined ? 'http' : 'https'}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}
