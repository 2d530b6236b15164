import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from '../../shared/log.ts';
import type { EventNotice } from '../stores.ts';
import { decodeNotice, EVENT_CHANNEL } from './event-notice.ts';
import { translate } from './faults.ts';

export interface ListenOptions {
  readonly url: string;
  readonly log: Logger;
  readonly onNotice: (notice: EventNotice) => void;
}

const CONNECT_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_DELAY_MS = 10_000;
const BACKOFF_FIRST_MS = 50;
const BACKOFF_LAST_MS = 5_000;

/**
 * Listens on a connection of its own, because a pooled one is not there between queries. When it is lost, it is made anew
 * for as long as it takes, and then a gap is told: notices that nobody heard are not kept by PostgreSQL.
 */
export async function listenForEvents(options: ListenOptions): Promise<{ close(): Promise<void> }> {
  const listener = new EventListener(options);
  await listener.open();
  return listener;
}

class EventListener {
  readonly #options: ListenOptions;
  readonly #closing = new AbortController();
  #client: pg.Client | undefined;
  #reopening: Promise<void> = Promise.resolve();

  constructor(options: ListenOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    try {
      await this.#connect();
    } catch (error) {
      throw translate(error);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#reopening;
    await this.#client?.end();
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#options.url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
    });
    client.on('error', (error) => this.#options.log.warn({ error: error.message }, 'the listening connection failed'));
    client.on('notification', ({ payload = '' }) => this.#options.onNotice(decodeNotice(payload)));
    try {
      await client.connect();
      await client.query(`LISTEN ${EVENT_CHANNEL}`);
    } catch (error) {
      await client.end();
      throw error;
    }
    this.#client = client;
    client.on('end', () => this.#lost());
  }

  #lost(): void {
    this.#client = undefined;
    if (!this.#closing.signal.aborted) this.#reopening = this.#reopen();
  }

  async #reopen(): Promise<void> {
    for (let waitMs = BACKOFF_FIRST_MS; !this.#closing.signal.aborted; waitMs = Math.min(waitMs * 2, BACKOFF_LAST_MS)) {
      try {
        await this.#connect();
        this.#options.onNotice({ kind: 'gap' });
        return;
      } catch (error) {
        this.#options.log.warn({ error: error instanceof Error ? error.message : String(error), waitMs }, 'cannot listen for events, trying again');
      }
      // An abort ends the wait early; that it does so by throwing is of no interest here.
      await delay(waitMs, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
  }
}
