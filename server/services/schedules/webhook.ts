import { createHmac } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { BlockList } from 'node:net';
import { CovistaError } from '../../../protocol/errors.ts';
import { sendOut } from '../../shared/outgoing.ts';

/** What a webhook needs that nobody is shown. */
export interface WebhookSecrets {
  readonly url: string;
  readonly secret: string;
  readonly authorization: string | null;
}

export interface Delivery {
  readonly secrets: WebhookSecrets;
  readonly method: 'POST' | 'PUT';
  readonly path: string;
  readonly bytes: number;
  /** The same for every try of a run, so that who gets it twice can tell. */
  readonly messageId: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Answers of a webhook that may be others next time. */
const TRANSIENT = new Set([408, 425, 429]);

/** Sends a file, signed as Standard Webhooks says: HMAC-SHA-256 over `id.timestamp.body`. */
export async function deliver(
  delivery: Delivery,
  options: { readonly allowed: BlockList; readonly timeoutMs: number; readonly bytesPerSecondMin: number; readonly nowMs: number },
): Promise<void> {
  const { secrets, method, path, bytes, messageId, signal } = delivery;
  const timestamp = String(Math.floor(options.nowMs / 1000));
  const headers = {
    ...delivery.headers,
    'content-length': String(bytes),
    'user-agent': 'Covista',
    'webhook-id': messageId,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${await signatureOf(secrets.secret, `${messageId}.${timestamp}.`, path)}`,
    ...(secrets.authorization === null ? {} : { authorization: secrets.authorization }),
  };
  const { host } = new URL(secrets.url);
  const pace = new Pace(host, bytes, options);
  try {
    const sent = { url: secrets.url, method, headers, body: pace.counted(path), signal: AbortSignal.any([signal, pace.signal]) };
    const status = await sendOut(sent, options);
    if (status >= 200 && status < 300) return;
    throw refusedBy(host, status);
  } finally {
    pace.end();
  }
}

function refusedBy(host: string, status: number): CovistaError {
  const isTransient = status >= 500 || TRANSIENT.has(status);
  return new CovistaError(isTransient ? 'unavailable' : 'unprocessable_data', `${host} answered with status ${status}`, { status });
}

async function signatureOf(secret: string, prefix: string, path: string): Promise<string> {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret);
  const hmac = createHmac('sha256', key).update(prefix);
  for await (const chunk of createReadStream(path)) hmac.update(chunk as Buffer);
  return hmac.digest('base64');
}

const LOOK_MS = 1_000;

/** Ends what is taken too slowly, by however little more than nothing. */
class Pace {
  readonly #slow = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #sent = 0;

  constructor(host: string, bytes: number, { timeoutMs, bytesPerSecondMin }: { readonly timeoutMs: number; readonly bytesPerSecondMin: number }) {
    const sinceMs = performance.now();
    const look = (): void => {
      const elapsedMs = performance.now() - sinceMs;
      if (elapsedMs < timeoutMs || this.#sent >= bytes || this.#sent >= (elapsedMs / 1_000) * bytesPerSecondMin) return;
      const message = `${host} takes fewer than ${bytesPerSecondMin} bytes a second`;
      this.#slow.abort(new CovistaError('timeout', message, { webhookBytesPerSecondMin: bytesPerSecondMin }));
    };
    this.#timer = setInterval(look, Math.min(LOOK_MS, timeoutMs)).unref();
  }

  get signal(): AbortSignal {
    return this.#slow.signal;
  }

  async *counted(path: string): AsyncGenerator<Uint8Array> {
    for await (const chunk of createReadStream(path) as AsyncIterable<Uint8Array>) {
      yield chunk;
      this.#sent += chunk.length;
    }
  }

  end(): void {
    clearInterval(this.#timer);
  }
}
