import { backoffMs } from './backoff.ts';
import type { ClientSettings, TokenSource } from './settings.ts';

/** The longest that a timer can be set for; a later expiry is looked at again then. */
const TIMER_MS_MAX = 2_147_483_647;

/** Asks for tokens and replaces the one in use before it expires. */
export class TokenKeeper {
  readonly #source: TokenSource;
  readonly #settings: ClientSettings;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #expiresAtMs = Number.POSITIVE_INFINITY;
  #use: (token: string) => void = () => undefined;

  constructor(source: TokenSource, settings: ClientSettings) {
    this.#source = source;
    this.#settings = settings;
  }

  /** Whether asking again may give another token. */
  get renewable(): boolean {
    return typeof this.#source === 'function';
  }

  async next(): Promise<string> {
    return typeof this.#source === 'function' ? await this.#source() : this.#source;
  }

  /** Hands a fresh token to `use` in time before `expiresAt` (ISO 8601; null: never). */
  watch(expiresAt: string | null, use: (token: string) => void): void {
    this.stop();
    if (expiresAt === null || !this.renewable) return;
    this.#use = use;
    this.#failures = 0;
    this.#expiresAtMs = Date.parse(expiresAt);
    const leftMs = this.#expiresAtMs - Date.now();
    this.#schedule(this.#renewalMs(leftMs));
  }

  /** The server did not take the token that was handed out: another may do, until the session ends. */
  retry(): void {
    if (this.#expiresAtMs <= Date.now()) return;
    const { backoffBaseMs, backoffMaxMs } = this.#settings;
    this.#schedule(backoffBaseMs + backoffMs(this.#failures, backoffBaseMs, backoffMaxMs));
    this.#failures += 1;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#expiresAtMs = Number.NEGATIVE_INFINITY;
  }

  /** The server has just taken the token: when it ended by the clock here, this clock is ahead, and asking at once would never end. */
  #renewalMs(leftMs: number): number {
    const { refreshBeforeMs, backoffBaseMs } = this.#settings;
    if (leftMs <= 0) return refreshBeforeMs;
    return leftMs > refreshBeforeMs ? leftMs - refreshBeforeMs : Math.max(leftMs / 2, backoffBaseMs);
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer =
      delayMs > TIMER_MS_MAX ? setTimeout(() => this.#schedule(delayMs - TIMER_MS_MAX), TIMER_MS_MAX) : setTimeout(() => this.#renew(), delayMs);
  }

  #renew(): void {
    const timer = this.#timer;
    this.next().then(
      (token) => {
        if (this.#timer === timer) this.#use(token);
      },
      // The session goes on until it expires; the connection then asks anew and reports what fails.
      () => {
        if (this.#timer === timer) this.retry();
      },
    );
  }
}
