import { CovistaError, ERRORS } from '../protocol/errors.ts';
import type { SessionInfo } from '../protocol/frame.ts';
import { backoffMs } from './backoff.ts';
import { type AnswerFrame, Link, type LinkEvents, type Welcomed } from './link.ts';
import type { ClientSettings, TokenSource } from './settings.ts';
import { TokenKeeper } from './token.ts';

/** Where a client stands; the table of its transitions is in SPEC.md, section SDK. */
export type ConnectionState =
  | { readonly kind: 'connecting'; readonly attempt: number }
  | ({ readonly kind: 'open' } & Welcomed)
  | { readonly kind: 'waiting'; readonly attempt: number; readonly delayMs: number; readonly reason: CovistaError }
  | { readonly kind: 'closed'; readonly reason: CovistaError };

export interface ConnectionEvents {
  opened(link: Link): void;
  answered(link: Link, frame: AnswerFrame, bytes: number): void;
  /** The link takes nothing new; `finish` ends it. */
  leaving(link: Link): void;
  /** No answer will come on this link any more. */
  lost(link: Link, reason: CovistaError): void;
  closed(reason: CovistaError): void;
  changed(state: ConnectionState): void;
}

interface ConnectionOptions {
  readonly url: URL;
  readonly token: TokenSource;
  readonly name: string;
  readonly settings: ClientSettings;
  readonly events: ConnectionEvents;
}

/** Keeps one link open: connects, reconnects, and keeps the token fresh. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #tokens: TokenKeeper;
  #state: ConnectionState = { kind: 'connecting', attempt: 0 };
  #link: Link | undefined;
  /** Links that said goodbye: they finish what they have and take nothing new. */
  readonly #leaving = new Set<Link>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Failures since the last welcome, and whether the last was a token that the server did not take. */
  #failures = 0;
  #tokenRefused = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#tokens = new TokenKeeper(options.token, options.settings);
    this.#connect();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** The link on which requests may be sent now. */
  get link(): Link | undefined {
    return this.#state.kind === 'open' ? this.#link : undefined;
  }

  close(reason: CovistaError): void {
    if (this.#state.kind === 'closed') return;
    clearTimeout(this.#timer);
    this.#tokens.stop();
    const links = this.#link === undefined ? [...this.#leaving] : [this.#link, ...this.#leaving];
    this.#link = undefined;
    this.#enter({ kind: 'closed', reason });
    this.#options.events.closed(reason);
    for (const link of links) link.close(reason);
  }

  /** The server takes no more on this link: what is under way may finish there, the next goes to another link. */
  leave(link: Link, delayMs: number, reason: CovistaError): void {
    if (link !== this.#link) return;
    this.#link = undefined;
    this.#leaving.add(link);
    this.#tokens.stop();
    this.#wait(delayMs, reason);
    this.#options.events.leaving(link);
  }

  /** Ends a link that has said goodbye once nothing is under way on it. */
  finish(link: Link): void {
    if (this.#leaving.has(link)) link.close(new CovistaError('draining', 'everything is answered'));
  }

  #enter(state: ConnectionState): void {
    this.#state = state;
    this.#options.events.changed(state);
  }

  #connect(): void {
    const state: ConnectionState = { kind: 'connecting', attempt: this.#failures };
    this.#enter(state);
    this.#tokens.next().then(
      (token) => {
        if (this.#state === state) this.#open(token);
      },
      (cause) => {
        if (this.#state === state) this.#failed(new CovistaError('unavailable', 'the token function failed', {}, cause));
      },
    );
  }

  #open(token: string): void {
    const { url, name, settings } = this.#options;
    this.#link = new Link({ url, token, name, settings, events: this.#linkEvents });
  }

  readonly #linkEvents: LinkEvents = {
    welcomed: (link) => this.#welcomed(link),
    answered: (link, frame, bytes) => this.#options.events.answered(link, frame, bytes),
    refreshed: (link, session) => this.#refreshed(link, session),
    complained: (link) => link === this.#link && this.#tokens.retry(),
    goodbye: (link, delayMs) => this.leave(link, this.#afterGoodbyeMs(delayMs), new CovistaError('draining', 'the server said goodbye')),
    closed: (link, reason) => this.#closed(link, reason),
  };

  #welcomed(link: Link): void {
    if (link !== this.#link || link.welcomed === undefined) return;
    this.#failures = 0;
    this.#tokenRefused = false;
    this.#enter({ kind: 'open', ...link.welcomed });
    this.#keepFresh(link, link.welcomed.session);
    this.#options.events.opened(link);
  }

  #refreshed(link: Link, session: SessionInfo): void {
    if (link !== this.#link || this.#state.kind !== 'open') return;
    this.#enter({ ...this.#state, session });
    this.#keepFresh(link, session);
  }

  #keepFresh(link: Link, session: SessionInfo): void {
    this.#tokens.watch(session.expiresAt, (token) => link.refresh(token));
  }

  /** The server names the least delay; the jitter keeps its clients from coming back at once when it names the same to all. */
  #afterGoodbyeMs(delayMs: number): number {
    return delayMs + backoffMs(0, this.#options.settings.backoffBaseMs, this.#options.settings.backoffMaxMs);
  }

  #closed(link: Link, reason: CovistaError): void {
    const current = link === this.#link;
    this.#leaving.delete(link);
    if (current) {
      this.#link = undefined;
      this.#tokens.stop();
    }
    // Requests learn of it first, so that those which are sent again are in place when the next link opens.
    this.#options.events.lost(link, reason);
    if (current) this.#failed(reason);
  }

  /** Whether another attempt can help is what the error's entry in the table of errors says. */
  #failed(reason: CovistaError): void {
    const { retry } = ERRORS[reason.code];
    const refused = retry === 'fresh';
    const hopeless = retry === 'never' || (refused && (this.#tokenRefused || !this.#tokens.renewable));
    this.#tokenRefused = refused;
    this.#failures += 1;
    const { attemptsMax, backoffBaseMs, backoffMaxMs } = this.#options.settings;
    if (hopeless || this.#failures > attemptsMax) this.close(reason);
    else this.#wait(backoffMs(this.#failures - 1, backoffBaseMs, backoffMaxMs), reason);
  }

  #wait(delayMs: number, reason: CovistaError): void {
    this.#enter({ kind: 'waiting', attempt: this.#failures, delayMs, reason });
    this.#timer = setTimeout(() => this.#connect(), delayMs);
  }
}
