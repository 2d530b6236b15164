import { createHmac, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Limits } from '../../../protocol/limits.ts';
import type { AlertDelivery } from '../../../protocol/operations/admin.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import type { Lateness } from '../../shared/promptness.ts';

export interface WebhookOptions {
  readonly url: string;
  /** Signs what is sent. */
  readonly secret: string;
  readonly limits: Pick<
    Limits,
    'alertWebhookQueueMax' | 'alertWebhookAttemptsMax' | 'alertWebhookBackoffMs' | 'alertWebhookTimeoutMs' | 'drainTimeoutMs'
  >;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Message {
  readonly deliveryId: string;
  readonly body: string;
  readonly atMs: number;
}

const BACKOFF_MS_MAX = 5 * 60_000;

/** The signature of a body that was sent at a time in seconds: hexadecimal HMAC-SHA-256 of `{timestamp}.{body}`. */
export function signatureOf(secret: string, timestamp: number, body: string): string {
  return createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex');
}

/**
 * Posts JSON to one address, one after the other and in order. What is not taken (any status but 2xx, or none in time) is tried
 * again with a back-off that doubles; when too much waits, the oldest is dropped.
 */
export class Webhook implements Lateness {
  readonly #options: WebhookOptions;
  readonly #abort = new AbortController();
  /** Aborted when the server stops: what is tried from then on is tried once. */
  readonly #hurry = new AbortController();
  #waiting: Message[] = [];
  #running: Promise<void> | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #delivered = 0;
  #dropped = 0;
  #failedAttempts = 0;
  #lastError: string | null = null;

  constructor(options: WebhookOptions) {
    this.#options = options;
  }

  get state(): AlertDelivery {
    const [queued, delivered, dropped, failedAttempts, lastError] = [
      this.#waiting.length,
      this.#delivered,
      this.#dropped,
      this.#failedAttempts,
      this.#lastError,
    ];
    return { isConfigured: true, queued, delivered, dropped, failedAttempts, lastError };
  }

  /** For how long the oldest message has waited to be taken. */
  get lagMs(): number {
    const oldest = this.#waiting[0];
    return oldest === undefined ? 0 : Math.max(0, this.#options.clock.now() - oldest.atMs);
  }

  send(content: unknown): void {
    if (this.#waiting.length >= this.#options.limits.alertWebhookQueueMax) {
      this.#waiting.shift();
      this.#drop('too many wait');
    }
    this.#waiting.push({ deliveryId: randomUUID(), body: JSON.stringify(content), atMs: this.#options.clock.now() });
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** The server begins to stop: what waits is delivered until something is not taken, or it takes longer than a stop may. */
  hurry(): void {
    this.#hurry.abort();
    this.#deadline ??= setTimeout(() => this.#abort.abort(), this.#options.limits.drainTimeoutMs).unref();
  }

  /** Waits for what is being delivered. */
  async close(): Promise<void> {
    this.hurry();
    await this.#running;
    clearTimeout(this.#deadline);
    if (this.#waiting.length > 0) this.#options.log.warn({ waiting: this.#waiting.length }, 'messages to the webhook were given up at the stop');
  }

  async #run(): Promise<void> {
    for (let message = this.#waiting[0]; message !== undefined && !this.#abort.signal.aborted; message = this.#waiting[0]) {
      const isTaken = await this.#deliver(message);
      if (this.#abort.signal.aborted && !isTaken) return;
      // While it was being tried, it may have been dropped for others.
      if (this.#waiting[0] === message) this.#waiting.shift();
      if (isTaken) this.#delivered += 1;
      else this.#drop(`it was tried ${this.#options.limits.alertWebhookAttemptsMax} times`);
    }
  }

  async #deliver(message: Message): Promise<boolean> {
    const { alertWebhookAttemptsMax, alertWebhookBackoffMs } = this.#options.limits;
    for (let attempt = 1; attempt <= alertWebhookAttemptsMax; attempt += 1) {
      const isLast = this.#hurry.signal.aborted || attempt === alertWebhookAttemptsMax;
      const fault = await this.#post(message);
      this.#lastError = fault ?? null;
      if (fault === undefined) return true;
      this.#failedAttempts += 1;
      this.#options.log.warn({ fault, attempt, delivery: message.deliveryId }, 'the webhook did not take a message');
      // A receiver that is away holds up no stop.
      if (isLast && this.#hurry.signal.aborted) this.#abort.abort();
      if (isLast || this.#abort.signal.aborted) return false;
      await this.#rest(Math.min(BACKOFF_MS_MAX, alertWebhookBackoffMs * 2 ** (attempt - 1)));
    }
    return false;
  }

  /** A stop cuts it short. */
  async #rest(ms: number): Promise<void> {
    try {
      await sleep(ms, undefined, { signal: this.#hurry.signal, ref: false });
    } catch (fault) {
      if (!this.#hurry.signal.aborted) throw fault;
    }
  }

  /** What went wrong; undefined: it was taken. */
  async #post({ deliveryId, body }: Message): Promise<string | undefined> {
    const { url, secret, limits, clock } = this.#options;
    const timestamp = Math.floor(clock.now() / 1_000);
    try {
      const response = await fetch(url, {
        method: 'POST',
        body,
        redirect: 'error',
        headers: {
          'content-type': 'application/json',
          'x-covista-delivery': deliveryId,
          'x-covista-timestamp': String(timestamp),
          'x-covista-signature': `sha256=${signatureOf(secret, timestamp, body)}`,
        },
        signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(limits.alertWebhookTimeoutMs)]),
      });
      await response.body?.cancel();
      return response.ok ? undefined : `status ${response.status}`;
    } catch (fault) {
      return fault instanceof Error ? fault.message : String(fault);
    }
  }

  #drop(reason: string): void {
    this.#dropped += 1;
    this.#options.log.error({ reason }, 'a message to the webhook was dropped');
  }
}
