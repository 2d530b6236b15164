import { hash } from 'node:crypto';
import { errors, type JWTClaimVerificationOptions, type JWTPayload, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import { CovistaError, type ErrorDetails } from '../../protocol/errors.ts';
import type { Limits } from '../../protocol/limits.ts';
import type { Actor } from '../services/access/actor.ts';
import type { AuditTrail } from '../services/access/audit-trail.ts';
import type { Revocations } from '../services/access/revocations.ts';
import { isTicket, type Tickets } from '../services/access/tickets.ts';
import { countedAddress } from '../shared/addresses.ts';
import type { CacheCounts } from '../shared/cache-counts.ts';
import type { Clock } from '../shared/clock.ts';
import { AUTHENTICATE, recordRefusal } from './call-audit.ts';
import { publishedKeys } from './published-keys.ts';
import { RateLimit } from './rate-limit.ts';
import { sharedSecretVerifier } from './shared-secret.ts';
import type { Tightening } from './tightening.ts';

export type { Actor };

export interface Authenticator {
  /** Who a token speaks for; `unauthenticated` when it is not accepted, `unavailable` when the keys cannot be fetched. */
  authenticate(token: string): Promise<Actor>;
  /** The same for a token that comes from an address; `rate_limited` when too many of its tokens were refused. */
  admit(token: string, address: string): Promise<Actor>;
  /** How long a session of the actor still lasts in milliseconds, the tolerance of clocks included; null: for good. */
  remainingMs(actor: Actor): number | null;
  /** Calls back once when the token of the actor is revoked; returns how to let go. */
  watch(actor: Actor, onRevoked: (reason: CovistaError) => void): () => void;
}

/** Tokens are accepted from one kind of key: a shared secret or published public keys, never a choice of the token. */
export interface AuthenticatorOptions {
  readonly key: { readonly secret: string } | { readonly jwksUrl: string };
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  readonly clockToleranceMs: number;
  readonly groupsClaim: string;
  readonly limits: Pick<
    Limits,
    | 'tokenCharsMax'
    | 'tokenIdCharsMax'
    | 'failedTokensPerAddressPerMinute'
    | 'rateKeysMax'
    | 'tokenCacheMax'
    | 'groupsMax'
    | 'subjectCharsMax'
    | 'jwksTimeoutMs'
    | 'jwksCooldownMs'
    | 'jwksKeepMs'
    | 'jwksStaleMs'
  >;
  readonly revocations: Pick<Revocations, 'against' | 'watch'>;
  readonly tickets: Pick<Tickets, 'redeem'>;
  readonly audit: AuditTrail;
  /** Holds some callers to less than others. */
  readonly tightening?: Pick<Tightening, 'take'>;
  /** Where it is counted how often a token was known from before. */
  readonly counts?: CacheCounts;
  readonly clock: Clock;
}

const PUBLIC_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];
/** The last time that a Date can hold. */
const TIME_MS_MAX = 8.64e15;
const CONTROL = /[\p{Cc}\p{Cs}]/u;

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { limits, clock } = options;
  const verify = createVerifier(options);
  const cache = new LRUCache<string, Actor>({ max: limits.tokenCacheMax });

  const remainingMs = ({ expiresAtMs }: Actor): number | null =>
    expiresAtMs === null ? null : Math.max(0, expiresAtMs + options.clockToleranceMs - clock.now());

  const recall = (key: string): Actor | undefined => {
    const actor = cache.get(key);
    if (actor === undefined || remainingMs(actor) !== 0) return actor;
    cache.delete(key);
    return undefined;
  };

  const identify = async (token: string): Promise<Actor> => {
    if (isTicket(token)) return redeem(token);
    const key = hashOf(token);
    const known = recall(key);
    options.counts?.count(known !== undefined);
    if (known !== undefined) return known;
    const actor = actorOf(await verify(token), options);
    cache.set(key, actor);
    return actor;
  };

  const redeem = async (ticket: string): Promise<Actor> => {
    const claims = await options.tickets.redeem(ticket);
    if (claims === undefined) throw refused('the ticket was used already, has expired, or never was one');
    return actorOf(claims, options);
  };

  const authenticate = async (token: string): Promise<Actor> => {
    if (token.length === 0) throw refused('there is no token');
    if (token.length > limits.tokenCharsMax) throw refused(`the token has more than ${limits.tokenCharsMax} characters`);
    const actor = await identify(token);
    if (options.revocations.against(actor) !== undefined) throw refused('the token was revoked', { revoked: true });
    return actor;
  };

  const { failedTokensPerAddressPerMinute: most, rateKeysMax: keysMax } = limits;
  const failures = new RateLimit({
    what: 'refused tokens from your address',
    limit: 'failedTokensPerAddressPerMinute',
    most,
    periodMs: 60_000,
    keysMax,
  });
  const admit = async (token: string, address: string): Promise<Actor> => {
    const key = countedAddress(address);
    try {
      // Others behind the same address go on with tokens that are known to be good.
      if (recall(hashOf(token)) === undefined) {
        failures.assertFree(key);
        options.tightening?.take({ subject: '', address });
      }
      return await authenticate(token);
    } catch (fault) {
      recordRefusal(options.audit, fault, { operation: AUTHENTICATE, address });
      if (fault instanceof CovistaError && fault.code === 'unauthenticated') failures.take(key);
      throw fault;
    }
  };

  return {
    remainingMs,
    watch: (actor, onRevoked) => options.revocations.watch(actor, onRevoked),
    authenticate,
    admit,
  };
}

/** Tokens are remembered by hash, so that memory holds none that could be stolen from a dump of it. */
function hashOf(token: string): string {
  return hash('sha256', token, 'base64');
}

function refused(message: string, details: ErrorDetails = {}): CovistaError {
  return new CovistaError('unauthenticated', message, details);
}

function createVerifier(options: AuthenticatorOptions): (token: string) => Promise<JWTPayload> {
  const verify = signatureVerifier(options);
  const expected: JWTClaimVerificationOptions = {
    clockTolerance: options.clockToleranceMs / 1000,
    ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
    ...(options.audience === undefined ? {} : { audience: options.audience }),
    requiredClaims: ['sub'],
  };
  return async (token) => {
    try {
      return await verify(token, { ...expected, currentDate: new Date(options.clock.now()) });
    } catch (fault) {
      throw translate(fault);
    }
  };
}

type Verify = (token: string, expected: JWTClaimVerificationOptions) => JWTPayload | Promise<JWTPayload>;

function signatureVerifier({ key, limits, clock }: AuthenticatorOptions): Verify {
  if ('secret' in key) return sharedSecretVerifier(key.secret);
  const keys = publishedKeys(key.jwksUrl, limits, clock);
  return async (token, expected) => (await jwtVerify(token, keys, { ...expected, algorithms: PUBLIC_ALGORITHMS })).payload;
}

/** What went wrong, without repeating anything of the token. */
function translate(fault: unknown): CovistaError {
  if (fault instanceof errors.JWTExpired) return refused('the token has expired');
  if (fault instanceof errors.JWTClaimValidationFailed) return refused(`the claim "${fault.claim}" of the token is not accepted`);
  if (fault instanceof errors.JOSEAlgNotAllowed) return refused('the token is signed with an algorithm that is not accepted');
  if (fault instanceof errors.JWKSTimeout) return new CovistaError('unavailable', 'the key set of the token issuer does not answer', {}, fault);
  if (fault instanceof errors.JWKSNoMatchingKey || fault instanceof errors.JWKSMultipleMatchingKeys) return refused('no known key signed the token');
  if (fault instanceof errors.JWSSignatureVerificationFailed) return refused('the signature of the token does not hold');
  if (fault instanceof errors.JWSInvalid || fault instanceof errors.JWTInvalid || fault instanceof errors.JOSENotSupported) {
    return refused('the token is not a well-formed JWT');
  }
  return new CovistaError('unavailable', 'the key set of the token issuer cannot be used', {}, fault);
}

function actorOf(claims: JWTPayload, options: AuthenticatorOptions): Actor {
  const { limits } = options;
  const subject = claims.sub;
  if (typeof subject !== 'string' || subject.length === 0 || subject.length > limits.subjectCharsMax || CONTROL.test(subject)) {
    throw refused(`"sub" must be a text of 1 to ${limits.subjectCharsMax} characters without control characters`);
  }
  const { jti } = claims;
  if (jti !== undefined && (typeof jti !== 'string' || jti.length === 0 || jti.length > limits.tokenIdCharsMax)) {
    throw refused(`"jti" must be a text of 1 to ${limits.tokenIdCharsMax} characters`);
  }
  return {
    subject,
    groups: groupsOf(claims[options.groupsClaim], options),
    serverAdmin: claims.covista_admin === true,
    claims,
    expiresAtMs: expiryOf(claims.exp),
  };
}

function expiryOf(seconds: number | undefined): number | null {
  if (seconds === undefined) return null;
  if (seconds * 1000 > TIME_MS_MAX) throw refused('"exp" lies beyond all times');
  return seconds * 1000;
}

function groupsOf(claim: unknown, { groupsClaim, limits }: AuthenticatorOptions): readonly string[] {
  if (claim === undefined) return [];
  const isGroup = (group: unknown): group is string =>
    typeof group === 'string' && group.length > 0 && group.length <= limits.subjectCharsMax && !CONTROL.test(group);
  if (!Array.isArray(claim) || claim.length > limits.groupsMax || !claim.every(isGroup)) {
    throw refused(`"${groupsClaim}" must be a list of at most ${limits.groupsMax} group names`);
  }
  return [...new Set(claim)];
}
