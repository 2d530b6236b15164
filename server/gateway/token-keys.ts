import { webcrypto } from 'node:crypto';
import { createLocalJWKSet, createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import type { Limits } from '../../protocol/limits.ts';
import type { Clock } from '../shared/clock.ts';

/** A shared secret, or where public keys are published. */
export type TokenKey = { readonly secret: string } | { readonly jwksUrl: string };

type JwksLimits = Pick<Limits, 'jwksTimeoutMs' | 'jwksCooldownMs' | 'jwksKeepMs' | 'jwksStaleMs'>;

/** The key that must have signed a token. */
export function keyResolver(key: TokenKey, limits: JwksLimits, clock: Clock): JWTVerifyGetKey {
  if ('jwksUrl' in key) return publishedKeys(key.jwksUrl, limits, clock);
  // Imported once: of raw bytes a key would be made for every token.
  const imported = webcrypto.subtle.importKey('raw', new TextEncoder().encode(key.secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
  return () => imported;
}

/** Fetches keys when they are needed, and lives on what it has while the issuer does not answer. */
function publishedKeys(url: string, limits: JwksLimits, clock: Clock): JWTVerifyGetKey {
  const remote = createRemoteJWKSet(new URL(url), {
    timeoutDuration: limits.jwksTimeoutMs,
    cooldownDuration: limits.jwksCooldownMs,
    cacheMaxAge: limits.jwksKeepMs,
  });
  let goodAtMs = Number.NEGATIVE_INFINITY;
  let outage: { readonly fault: unknown; readonly atMs: number } | undefined;

  /** The key among those that were fetched last; throws `fault` where they do not tell. */
  const fromLast: (fault: unknown, ...token: Parameters<JWTVerifyGetKey>) => ReturnType<JWTVerifyGetKey> = async (fault, header, input) => {
    const last = clock.now() - goodAtMs < limits.jwksStaleMs ? remote.jwks() : undefined;
    if (last === undefined) throw fault;
    try {
      return await createLocalJWKSet(last)(header, input);
    } catch {
      throw fault;
    }
  };

  return async (header, input) => {
    const isResting = outage !== undefined && clock.now() - outage.atMs < limits.jwksCooldownMs;
    // Without any keys there is nothing to live on meanwhile.
    if (isResting && remote.jwks() !== undefined) return fromLast(outage?.fault, header, input);
    try {
      const found = await remote(header, input);
      goodAtMs = clock.now();
      outage = undefined;
      return found;
    } catch (fault) {
      if (isAnswer(fault)) throw fault;
      outage = { fault, atMs: clock.now() };
      return fromLast(fault, header, input);
    }
  };
}

/** The keys were there and did not fit, in contrast to an issuer that cannot be asked. */
function isAnswer(fault: unknown): boolean {
  return fault instanceof errors.JWKSNoMatchingKey || fault instanceof errors.JWKSMultipleMatchingKeys || fault instanceof errors.JOSENotSupported;
}
