import { type LookupAddress, lookup as resolveName } from 'node:dns';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { type BlockList, isIP, type LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CovistaError } from '../../protocol/errors.ts';
import { canonicalAddress, isWithin, parseNetworks } from './addresses.ts';

/** Requests to where people tell the server to send something: they must not reach what only the server can reach. */

export interface Outgoing {
  readonly url: string;
  readonly method: 'POST' | 'PUT';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

export interface OutgoingOptions {
  /** Private networks that may be reached all the same. */
  readonly allowed: BlockList;
  /** How long the other side may neither take a byte nor send one, and how long after the last byte it may take to answer. */
  readonly timeoutMs: number;
}

/** Networks that are not of the public internet (IANA special-purpose registries), and those that lead to some of them in disguise. */
const PRIVATE = parseNetworks([
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24'],
  ...['192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
  ...['::/96', '::ffff:0:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64', '2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20', '5f00::/16'],
  ...['fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
]);

/** Whether the server may send something to an address. */
export function mayReach(address: string, allowed: BlockList): boolean {
  const canonical = canonicalAddress(address);
  return canonical !== undefined && (isWithin(canonical, allowed) || !isWithin(canonical, PRIVATE));
}

/** Sends, and answers with the status. Redirects are not followed; addresses are checked where the connection goes, not before. */
export async function sendOut({ url, method, headers, body, signal }: Outgoing, { allowed, timeoutMs }: OutgoingOptions): Promise<number> {
  const target = new URL(url);
  const host = target.hostname.replace(/^\[(.*)\]$/, '$1');
  // Names are looked up when the connection is made; what is an address already is not looked up at all.
  if (isIP(host) !== 0 && !mayReach(host, allowed)) throw refused(target.host);
  const request = target.protocol === 'https:' ? requestHttps : requestHttp;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = request(target, { method, headers, signal, agent: false, lookup: checkedLookup(target.host, allowed) });
  const late = (): unknown => outgoing.destroy(new CovistaError('timeout', `${target.host} did not answer for ${timeoutMs} ms`));
  outgoing.setTimeout(timeoutMs, late);
  // Who sends an answer bit by bit, or news that it is to come, is never idle.
  let deadline: NodeJS.Timeout | undefined;
  outgoing.once('finish', () => {
    deadline = setTimeout(late, timeoutMs).unref();
  });
  outgoing.once('response', resolve);
  outgoing.once('error', reject);
  // An answer that changes the protocol ends the request with neither of them.
  outgoing.once('close', () => reject(new Error(`${target.host} ended the connection`)));
  try {
    const [response] = await Promise.all([promise, unlessAnswered(pipeline(Readable.from(body, { objectMode: false }), outgoing), promise)]);
    response.destroy();
    return response.statusCode ?? 0;
  } catch (error) {
    throw explained(error, target.host, signal);
  } finally {
    clearTimeout(deadline);
    outgoing.destroy();
  }
}

/** Who answers before everything was sent has made up its mind; that the rest cannot be sent then is of no interest. */
async function unlessAnswered(sending: Promise<void>, answer: Promise<unknown>): Promise<void> {
  sending.catch(() => undefined);
  await Promise.race([sending, answer]);
}

function checkedLookup(name: string, allowed: BlockList): LookupFunction {
  return (hostname, options, callback) => {
    resolveName(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, []);
      const [first] = addresses;
      // One private address among others is as good as none: which one is taken is not ours to say.
      if (first === undefined || !addresses.every(({ address }) => mayReach(address, allowed))) return callback(refused(name), []);
      if (options.all === true) return callback(null, addresses);
      return callback(null, first.address, first.family);
    });
  };
}

function refused(host: string): CovistaError {
  return new CovistaError('forbidden', `${host} is a private address, which the server does not send to; its operator can allow it`, { host });
}

/** Why nothing was delivered, in words for whoever asked for it. */
function explained(error: unknown, host: string, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof CovistaError) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? 'no answer';
  return new CovistaError('unavailable', `${host} cannot be reached: ${code}`, { host }, error);
}
