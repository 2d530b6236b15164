import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { type Authenticator, type AuthenticatorOptions, createAuthenticator } from '../../server/gateway/authenticate.ts';
import { NO_SESSIONS } from '../support/sessions.ts';

const SECRET = 'a secret that is long enough for tests';
const encoder = new TextEncoder();
const clock = { nowMs: Date.now(), now: () => clock.nowMs };

function authenticatorFor(options: Partial<AuthenticatorOptions> = {}): Authenticator {
  return createAuthenticator({
    key: { secret: SECRET },
    issuer: undefined,
    audience: undefined,
    clockToleranceMs: 0,
    groupsClaim: 'groups',
    ...NO_SESSIONS,
    limits: defaultLimits,
    clock,
    ...options,
  });
}

function sign(
  claims: Record<string, unknown>,
  header: { alg: string; [name: string]: unknown } = { alg: 'HS256' },
  secret = SECRET,
): Promise<string> {
  return new SignJWT(claims).setProtectedHeader(header).sign(encoder.encode(secret));
}

async function refusalOf(authenticator: Authenticator, token: string): Promise<string> {
  try {
    await authenticator.authenticate(token);
  } catch (fault) {
    if (!(fault instanceof CovistaError)) throw fault;
    if (token.length > 20) expect(fault.message).not.toContain(token.slice(-20));
    return fault.code;
  }
  return 'accepted';
}

const seconds = (fromNow: number): number => Math.floor(clock.nowMs / 1000) + fromNow;
const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('tokens of a shared secret', () => {
  test('AUTH1 AUTH4 a token says who, in which groups, whether server admin, and until when', async () => {
    const authenticator = authenticatorFor();
    const token = await sign({ sub: 'alice', groups: ['a', 'b', 'a'], covista_admin: true, region: 'eu', exp: seconds(60) });
    expect(await authenticator.authenticate(token)).toEqual({
      subject: 'alice',
      groups: ['a', 'b'],
      serverAdmin: true,
      claims: expect.objectContaining({ region: 'eu' }),
      expiresAtMs: seconds(60) * 1000,
    });
    const plain = await authenticator.authenticate(await sign({ sub: 'bob', covista_admin: 'true' }));
    expect(plain).toMatchObject({ subject: 'bob', groups: [], serverAdmin: false, expiresAtMs: null });
  });

  test('AUTH3 algorithms that are not that of the key are refused: none, other HMACs, signatures', async () => {
    const { privateKey } = await generateKeyPair('RS256');
    const payload = { sub: 'alice' };
    const hs256 = await sign(payload);
    const attacks = [
      new UnsecuredJWT(payload).encode(),
      `${base64url({ alg: 'none' })}.${base64url(payload)}.`,
      `${base64url({ alg: 'None' })}.${base64url(payload)}.`,
      `${base64url({ alg: 'nOnE', typ: 'JWT' })}.${base64url(payload)}.${hs256.split('.')[2]}`,
      await sign(payload, { alg: 'HS512' }, SECRET.repeat(3)),
      await new SignJWT(payload).setProtectedHeader({ alg: 'RS256' }).sign(privateKey),
      hs256.split('.').slice(0, 2).join('.'),
      `${hs256.split('.').slice(0, 2).join('.')}.`,
    ];
    const authenticator = authenticatorFor();
    expect(await Promise.all(attacks.map((token) => refusalOf(authenticator, token)))).toEqual(attacks.map(() => 'unauthenticated'));
  });

  test('AUTH3 another secret, another payload under the same signature, and unknown critical headers are refused', async () => {
    const authenticator = authenticatorFor();
    const [head, , signature] = (await sign({ sub: 'alice' })).split('.');
    const attacks = [
      await sign({ sub: 'alice' }, { alg: 'HS256' }, 'another secret that is long enough'),
      `${head}.${base64url({ sub: 'admin', covista_admin: true })}.${signature}`,
      `${base64url({ alg: 'HS256', crit: ['x'], x: 1 })}.${base64url({ sub: 'alice' })}.${signature}`,
      await sign({ sub: 'alice' }, { alg: 'HS256' }, ' '),
    ];
    expect(await Promise.all(attacks.map((token) => refusalOf(authenticator, token)))).toEqual(attacks.map(() => 'unauthenticated'));
  });

  test('AUTH3 keys that a token brings along are not used', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = await exportJWK(publicKey);
    const token = await new SignJWT({ sub: 'alice' })
      .setProtectedHeader({ alg: 'ES256', jwk, jku: 'http://127.0.0.1:1/', kid: '../../dev/null' })
      .sign(privateKey);
    expect(await refusalOf(authenticatorFor(), token)).toBe('unauthenticated');
  });

  test('AUTH2 garbage is refused: empty, huge, binary, half', async () => {
    const authenticator = authenticatorFor();
    const valid = await sign({ sub: 'alice' });
    const garbage = [
      '',
      ' ',
      '.',
      '..',
      '...',
      'a.b.c',
      '\0',
      valid.slice(0, -1),
      `${valid}A`,
      valid.slice(1),
      `${valid}.${valid}`,
      'x'.repeat(9_000),
      '{}',
      'é.é.é',
      '💥',
    ];
    expect(await Promise.all(garbage.map((token) => refusalOf(authenticator, token)))).toEqual(garbage.map(() => 'unauthenticated'));
    const huge = await sign({ sub: 'alice', padding: 'x'.repeat(defaultLimits.tokenCharsMax) });
    expect(await refusalOf(authenticator, huge)).toBe('unauthenticated');
  });

  test.each([
    ['no subject', {}],
    ['an empty subject', { sub: '' }],
    ['a subject that is no text', { sub: 5 }],
    ['a subject with a line break', { sub: 'alice\nbob' }],
    ['a subject with NUL', { sub: 'alice\0' }],
    ['half a character', { sub: 'alice\ud800' }],
    ['a subject of 201 characters', { sub: 'x'.repeat(201) }],
    ['groups that are no list', { sub: 'alice', groups: 'admins' }],
    ['a group that is no text', { sub: 'alice', groups: [5] }],
    ['an empty group', { sub: 'alice', groups: [''] }],
    ['a group with control characters', { sub: 'alice', groups: ['a\u0007'] }],
    ['201 groups', { sub: 'alice', groups: Array.from({ length: 201 }, (_, index) => `g${index}`) }],
  ])('AUTH4 %s is refused', async (_what, claims) => {
    expect(await refusalOf(authenticatorFor(), await sign(claims))).toBe('unauthenticated');
  });

  test('AUTH4 groups come from the claim that the setting names', async () => {
    const authenticator = authenticatorFor({ groupsClaim: 'teams' });
    expect((await authenticator.authenticate(await sign({ sub: 'alice', groups: ['x'], teams: ['y'] }))).groups).toEqual(['y']);
  });

  test('AUTH5 issuer and audience must be those of the settings', async () => {
    const authenticator = authenticatorFor({ issuer: 'https://issuer', audience: 'covista' });
    const good = { sub: 'alice', iss: 'https://issuer', aud: ['other', 'covista'] };
    expect(await refusalOf(authenticator, await sign(good))).toBe('accepted');
    const bad = [
      { sub: 'alice' },
      { ...good, iss: 'https://other' },
      { ...good, aud: 'other' },
      { ...good, aud: undefined },
      { ...good, iss: undefined },
    ];
    expect(await Promise.all(bad.map(async (claims) => refusalOf(authenticator, await sign(claims))))).toEqual(bad.map(() => 'unauthenticated'));
  });

  test('AUTH6 expired and not yet valid tokens are refused, but for the tolerance of clocks', async () => {
    const strict = authenticatorFor();
    const tolerant = authenticatorFor({ clockToleranceMs: 10_000 });
    const late = await sign({ sub: 'alice', exp: seconds(-5) });
    const early = await sign({ sub: 'alice', nbf: seconds(5) });
    expect([await refusalOf(strict, late), await refusalOf(strict, early)]).toEqual(['unauthenticated', 'unauthenticated']);
    expect([await refusalOf(tolerant, late), await refusalOf(tolerant, early)]).toEqual(['accepted', 'accepted']);
    expect(tolerant.remainingMs(await tolerant.authenticate(late))).toBe(seconds(-5) * 1000 + 10_000 - clock.nowMs);
    for (const exp of ['soon', -1, 1e300, null]) expect(await refusalOf(strict, await sign({ sub: 'alice', exp }))).toBe('unauthenticated');
  });

  test('AUTH7 a verified token is remembered until it expires, and no longer', async () => {
    const authenticator = authenticatorFor();
    const token = await sign({ sub: 'alice', exp: seconds(60) });
    const first = await authenticator.authenticate(token);
    expect(await authenticator.authenticate(token)).toBe(first);
    const nowMs = clock.nowMs;
    clock.nowMs += 61_000;
    expect(await refusalOf(authenticator, token)).toBe('unauthenticated');
    clock.nowMs = nowMs;
  });
});

describe('tokens of published keys', () => {
  let server: Server;
  let url: string;
  let fetches = 0;
  let body = '';
  let status = 200;
  let rsa: Awaited<ReturnType<typeof generateKeyPair>>;
  let elliptic: Awaited<ReturnType<typeof generateKeyPair>>;

  beforeAll(async () => {
    rsa = await generateKeyPair('RS256', { extractable: true });
    elliptic = await generateKeyPair('ES256', { extractable: true });
    const keys = [
      { ...(await exportJWK(rsa.publicKey)), kid: 'rsa', alg: 'RS256', use: 'sig' },
      { ...(await exportJWK(elliptic.publicKey)), kid: 'ec', alg: 'ES256', use: 'sig' },
    ];
    body = JSON.stringify({ keys });
    server = createServer((_request, response) => {
      fetches += 1;
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  });

  afterAll(() => {
    server.close();
  });

  const signed = (kid: string, alg: string, key: CryptoKey): Promise<string> =>
    new SignJWT({ sub: 'alice' }).setProtectedHeader({ alg, kid }).sign(key);

  test('AUTH3 AUTH10 a token of a published key is accepted, and the keys are fetched once', async () => {
    const authenticator = authenticatorFor({ key: { jwksUrl: url } });
    const before = fetches;
    expect(await refusalOf(authenticator, await signed('rsa', 'RS256', rsa.privateKey))).toBe('accepted');
    expect(await refusalOf(authenticator, await signed('ec', 'ES256', elliptic.privateKey))).toBe('accepted');
    expect(fetches - before).toBe(1);
  });

  test('AUTH3 a public key is no shared secret: HMACs over it are refused, and none is too', async () => {
    const authenticator = authenticatorFor({ key: { jwksUrl: url } });
    const pem = await exportSPKI(rsa.publicKey);
    const attacks = [
      await sign({ sub: 'alice' }, { alg: 'HS256', kid: 'rsa' }, pem),
      await sign({ sub: 'alice' }, { alg: 'HS256', kid: 'rsa' }, body),
      await sign({ sub: 'alice' }, { alg: 'HS256' }),
      new UnsecuredJWT({ sub: 'alice' }).encode(),
      await signed('ec', 'RS256', rsa.privateKey),
      await signed('rsa', 'PS256', (await generateKeyPair('PS256')).privateKey),
    ];
    expect(await Promise.all(attacks.map((token) => refusalOf(authenticator, token)))).toEqual(attacks.map(() => 'unauthenticated'));
  });

  test('AUTH10 unknown keys make the server fetch at most once in the cooldown', async () => {
    const authenticator = authenticatorFor({ key: { jwksUrl: url } });
    const before = fetches;
    const stranger = await generateKeyPair('RS256');
    for (let count = 0; count < 20; count += 1)
      expect(await refusalOf(authenticator, await signed(`unknown-${count}`, 'RS256', stranger.privateKey))).toBe('unauthenticated');
    expect(fetches - before).toBeLessThanOrEqual(2);
  });

  test('AUTH10 keys that cannot be had are unavailable, not unauthenticated, and the next try may succeed', async () => {
    const token = await signed('rsa', 'RS256', rsa.privateKey);
    const authenticator = authenticatorFor({ key: { jwksUrl: url } });
    status = 500;
    expect(await refusalOf(authenticator, token)).toBe('unavailable');
    status = 200;
    expect(await refusalOf(authenticator, token)).toBe('accepted');
    const nobody = authenticatorFor({ key: { jwksUrl: 'http://127.0.0.1:1/keys' } });
    expect(await refusalOf(nobody, token)).toBe('unavailable');
  });
});
