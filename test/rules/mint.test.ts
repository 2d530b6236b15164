import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { defaultLimits } from '../../protocol/limits.ts';
import { createAuthenticator } from '../../server/gateway/authenticate.ts';
import { loadOrCreateSecret, mintToken } from '../../server/gateway/mint.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { NO_SESSIONS } from '../support/sessions.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'covista-mint-'));
});

afterEach(() => rm(directory, { recursive: true }));

test('AUTH11 a server without a secret makes one, once, that only its user can read', async () => {
  const dataDir = join(directory, 'data');
  const secrets = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateSecret(dataDir)));
  expect(new Set(secrets).size).toBe(1);
  expect(secrets[0]).toMatch(/^[0-9a-f]{64}$/);
  expect((await stat(join(dataDir, 'token-secret'))).mode & 0o777).toBe(0o600);
  expect(await loadOrCreateSecret(dataDir)).toBe(secrets[0]);
  expect(await readFile(join(dataDir, 'token-secret'), 'utf8')).toBe(`${secrets[0]}\n`);
});

test('AUTH11 a secret file that is too short is a clear error that does not show it', async () => {
  await writeFile(join(directory, 'token-secret'), 'hunter2');
  const refusal = await loadOrCreateSecret(directory).catch((fault: Error) => fault.message);
  expect(refusal).toContain('fewer than 32 characters');
  expect(refusal).not.toContain('hunter2');
});

test('AUTH11 a minted token is accepted by a server with the same secret, issuer and audience', async () => {
  const secret = await loadOrCreateSecret(directory);
  const authenticator = createAuthenticator({
    key: { secret },
    issuer: 'us',
    audience: 'covista',
    clockToleranceMs: 0,
    groupsClaim: 'groups',
    ...NO_SESSIONS,
    limits: defaultLimits,
    clock: systemClock,
  });
  const token = await mintToken(secret, {
    subject: 'alice',
    admin: true,
    claims: { groups: ['a'], region: 'eu' },
    ttlMs: 60_000,
    issuer: 'us',
    audience: 'covista',
  });
  expect(await authenticator.authenticate(token)).toMatchObject({ subject: 'alice', serverAdmin: true, groups: ['a'], claims: { region: 'eu' } });
  const plain = await mintToken(secret, { subject: 'bob', claims: { covista_admin: false }, issuer: 'us', audience: 'covista' });
  expect(await authenticator.authenticate(plain)).toMatchObject({ subject: 'bob', serverAdmin: false, expiresAtMs: null });
});
