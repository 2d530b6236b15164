import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { resolveLimits } from '../../protocol/limits.ts';
import { type Authenticator, createAuthenticator } from '../../server/gateway/authenticate.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { NO_SESSIONS } from '../support/sessions.ts';

/** An issuer whose keys change and whose server dies. */
let server: Server;
let url: string;
let published: object[];
let fetches: number;

beforeEach(async () => {
  published = [];
  fetches = 0;
  server = createServer((_request, response) => {
    fetches += 1;
    response.writeHead(200, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify({ keys: published }));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
});

afterEach(() => die());

async function die(): Promise<void> {
  if (!server.listening) return;
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

interface Key {
  readonly jwk: object;
  sign(subject: string): Promise<string>;
}

async function newKey(kid: string): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  return {
    jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' },
    sign: (subject) => new SignJWT({ sub: subject }).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey),
  };
}

function authenticatorWith(jwks: { readonly jwksCooldownMs: number; readonly jwksKeepMs: number }): Authenticator {
  const options = { issuer: undefined, audience: undefined, clockToleranceMs: 0, groupsClaim: 'groups', clock: systemClock };
  return createAuthenticator({ ...options, ...NO_SESSIONS, key: { jwksUrl: url }, limits: resolveLimits(jwks) });
}

async function outcomeOf(authenticator: Authenticator, token: string): Promise<string> {
  try {
    return (await authenticator.authenticate(token)).subject;
  } catch (fault) {
    if (fault instanceof CovistaError) return fault.code;
    throw fault;
  }
}

test('AUTH10 a key that the issuer adds is found when a token needs it, and one that it withdraws counts no longer', async () => {
  const [old, next] = [await newKey('old'), await newKey('next')];
  published = [old.jwk];
  const authenticator = authenticatorWith({ jwksCooldownMs: 0, jwksKeepMs: 600_000 });
  expect(await outcomeOf(authenticator, await old.sign('alice'))).toBe('alice');
  published = [next.jwk];
  expect(await outcomeOf(authenticator, await next.sign('bob'))).toBe('bob');
  expect(await outcomeOf(authenticator, await old.sign('carol'))).toBe('unauthenticated');
});

test('AUTH10 within the cooldown unknown keys cause no fetch, however many tokens name them', async () => {
  const [known, unknown] = [await newKey('known'), await newKey('unknown')];
  published = [known.jwk];
  const authenticator = authenticatorWith({ jwksCooldownMs: 600_000, jwksKeepMs: 600_000 });
  expect(await outcomeOf(authenticator, await known.sign('alice'))).toBe('alice');
  for (let count = 0; count < 20; count += 1) expect(await outcomeOf(authenticator, await unknown.sign(`x${count}`))).toBe('unauthenticated');
  expect(fetches).toBe(1);
});

test('AUTH10 while the issuer is down, its known keys go on, unknown ones are refused within the cooldown and unavailable behind it', async () => {
  const [known, unknown] = [await newKey('known'), await newKey('unknown')];
  published = [known.jwk];
  const patient = authenticatorWith({ jwksCooldownMs: 600_000, jwksKeepMs: 600_000 });
  const eager = authenticatorWith({ jwksCooldownMs: 0, jwksKeepMs: 600_000 });
  for (const authenticator of [patient, eager]) expect(await outcomeOf(authenticator, await known.sign('alice'))).toBe('alice');
  await die();
  for (const authenticator of [patient, eager]) expect(await outcomeOf(authenticator, await known.sign('bob'))).toBe('bob');
  expect(await outcomeOf(patient, await unknown.sign('carol'))).toBe('unauthenticated');
  expect(await outcomeOf(eager, await unknown.sign('carol'))).toBe('unavailable');
});

test('AUTH10 keys that are due to be fetched anew go on while the issuer is down', async () => {
  const known = await newKey('known');
  published = [known.jwk];
  const authenticator = authenticatorWith({ jwksCooldownMs: 0, jwksKeepMs: 0 });
  expect(await outcomeOf(authenticator, await known.sign('alice'))).toBe('alice');
  await die();
  expect(await outcomeOf(authenticator, await known.sign('bob'))).toBe('bob');
});
