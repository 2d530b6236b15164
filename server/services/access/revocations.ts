import { setTimeout as delay } from 'node:timers/promises';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { type Lateness, Owed } from '../../shared/promptness.ts';
import type { EventNotice, NewRevocation, Provenance, RevocationRecord, RevocationTarget, SessionStore } from '../../storage/stores.ts';
import type { Actor } from './actor.ts';

/** `lagMs`: since when there are revocations that this server knows not of, because it cannot read them. */
export interface Revocations extends Lateness {
  /** The revocation under which the token of the actor is refused, if there is one. */
  against(actor: Actor): RevocationRecord | undefined;
  /** Calls back once, soon and not at once, when the token of the actor is or becomes revoked; returns how to let go. */
  watch(actor: Actor, onRevoked: (reason: CovistaError) => void): () => void;
  /** Revokes for every server; what goes on here with the tokens has ended when it resolves. */
  revoke(revocation: NewRevocation, provenance: Provenance): Promise<RevocationRecord>;
  /** Takes a revocation back for every server; answers whether there was one that counted. */
  lift(target: RevocationTarget, provenance: Provenance): Promise<{ readonly lifted: boolean }>;
  /** Follows what other servers revoke and take back. */
  notice(notice: EventNotice): void;
  close(): Promise<void>;
}

export interface RevocationsOptions {
  readonly store: Pick<SessionStore, 'revoke' | 'lift' | 'revokedAfter'>;
  readonly clockToleranceMs: number;
  readonly limits: Pick<Limits, 'revocationsMax'>;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Watch {
  readonly actor: Actor;
  readonly onRevoked: (reason: CovistaError) => void;
}

const READ_BATCH = 10_000;
const AGAIN_FIRST_MS = 50;
const AGAIN_LAST_MS = 2_000;

/** Knows every revocation that counts, from the start on. As many watches as connections and requests, which are bounded. */
export async function openRevocations(options: RevocationsOptions): Promise<Revocations> {
  const revocations = new KnownRevocations(options);
  await revocations.catchUp();
  return revocations;
}

class KnownRevocations implements Revocations {
  readonly #options: RevocationsOptions;
  readonly #byTokenId = new Map<string, RevocationRecord>();
  readonly #bySubject = new Map<string, RevocationRecord>();
  readonly #watches = new Set<Watch>();
  readonly #closing = new AbortController();
  #sequence = 0;
  #reading: Promise<void> = Promise.resolve();
  #following: Promise<void> | undefined;
  #isBehind = false;
  readonly #owed: Owed;

  constructor(options: RevocationsOptions) {
    this.#options = options;
    this.#owed = new Owed(options.clock);
  }

  get lagMs(): number {
    return this.#owed.lagMs;
  }

  against(actor: Actor): RevocationRecord | undefined {
    // Hardly ever is anything revoked, and every request asks.
    if (this.#byTokenId.size === 0 && this.#bySubject.size === 0) return undefined;
    const { jti, iat } = actor.claims;
    const ofToken = typeof jti === 'string' ? this.#byTokenId.get(jti) : undefined;
    if (ofToken !== undefined) return ofToken;
    const ofSubject = this.#bySubject.get(actor.subject);
    if (ofSubject === undefined) return undefined;
    // A token that does not say when it was issued may be older than the revocation.
    const isNewer = typeof iat === 'number' && iat * 1000 > Date.parse(ofSubject.issuedBefore ?? '');
    return isNewer ? undefined : ofSubject;
  }

  watch(actor: Actor, onRevoked: (reason: CovistaError) => void): () => void {
    const watch: Watch = { actor, onRevoked };
    this.#watches.add(watch);
    // Something may have been revoked between the check of the token and now.
    if (this.against(actor) !== undefined) queueMicrotask(() => this.#tell(watch));
    return () => {
      this.#watches.delete(watch);
    };
  }

  async revoke(revocation: NewRevocation, provenance: Provenance): Promise<RevocationRecord> {
    const { expiresAt } = revocation;
    // The server takes tokens for so much longer, so they must stay revoked for as long.
    const forgottenAt = expiresAt === null ? null : new Date(Date.parse(expiresAt) + this.#options.clockToleranceMs).toISOString();
    const record = await this.#options.store.revoke({ ...revocation, expiresAt: forgottenAt }, provenance);
    await this.catchUp();
    return record;
  }

  async lift(target: RevocationTarget, provenance: Provenance): Promise<{ readonly lifted: boolean }> {
    const outcome = await this.#options.store.lift(target, provenance);
    await this.catchUp();
    return outcome;
  }

  notice(notice: EventNotice): void {
    if (notice.kind === 'events') return;
    this.#isBehind = true;
    this.#owed.ask();
    this.#following ??= this.#follow().finally(() => {
      this.#following = undefined;
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#following;
  }

  /** Reads what is new, after whoever is reading already: what was committed before the call is known when it resolves. */
  catchUp(): Promise<void> {
    const read = this.#reading.then(() => this.#read());
    // Who reads next does so whether or not this succeeds; the caller is told.
    this.#reading = read.catch(() => undefined);
    return read;
  }

  async #follow(): Promise<void> {
    for (let waitMs = AGAIN_FIRST_MS; this.#isBehind && !this.#closing.signal.aborted; ) {
      this.#isBehind = false;
      try {
        await this.catchUp();
        if (!this.#isBehind) this.#owed.done();
        waitMs = AGAIN_FIRST_MS;
      } catch (fault) {
        this.#isBehind = true;
        this.#options.log.error({ err: fault, waitMs }, 'cannot read which tokens were revoked; trying again');
        // An abort ends the wait early; that it does so by throwing is of no interest here.
        await delay(waitMs, undefined, { signal: this.#closing.signal }).catch(() => {});
        waitMs = Math.min(waitMs * 2, AGAIN_LAST_MS);
      }
    }
  }

  async #read(): Promise<void> {
    while (true) {
      const records = await this.#options.store.revokedAfter(this.#sequence, READ_BATCH);
      for (const { sequence, lifted, ...record } of records) {
        this.#sequence = sequence;
        if (record.tokenId !== null) this.#note(this.#byTokenId, record.tokenId, lifted ? undefined : record);
        if (record.subject !== null) this.#note(this.#bySubject, record.subject, lifted ? undefined : record);
      }
      if (records.length > 0) this.#endWatched();
      if (records.length < READ_BATCH) break;
    }
    this.#forget();
  }

  #note(known: Map<string, RevocationRecord>, key: string, record: RevocationRecord | undefined): void {
    if (record === undefined) known.delete(key);
    else known.set(key, record);
  }

  #endWatched(): void {
    for (const watch of [...this.#watches]) if (this.against(watch.actor) !== undefined) this.#tell(watch);
  }

  #tell(watch: Watch): void {
    if (!this.#watches.delete(watch)) return;
    const { reason = '' } = this.against(watch.actor) ?? {};
    watch.onRevoked(new CovistaError('session_revoked', reason === '' ? 'the token was revoked' : `the token was revoked: ${reason}`, { reason }));
  }

  /** The database holds no more than the limit that count, so what is beyond has ended. */
  #forget(): void {
    for (const known of [this.#byTokenId, this.#bySubject]) {
      if (known.size <= this.#options.limits.revocationsMax) continue;
      const nowMs = this.#options.clock.now();
      for (const [key, { expiresAt }] of known) if (expiresAt !== null && Date.parse(expiresAt) <= nowMs) known.delete(key);
    }
  }
}
