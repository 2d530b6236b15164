import { createLocalJWKSet, createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import type { Limits } from '../../protocol/limits.ts';
import type { Clock } from '../shared/clock.ts';

type JwksLimits = Pick<Limits, 'jwksTimeoutMs' | 'jwksCooldownMs' | 'jwksKeepMs' | 'jwksStaleMs'>;

/** Fetches keys when they are needed, and lives on what it has while the issuer does not answer. */
export function publishedKeys(url: string, limits: JwksLimits, clock: Clock): JWTVerifyGetKey {
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
