import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type SecureVersion } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { CLOSE_CODES } from '../../protocol/close-codes.ts';
import { FRAME } from '../../protocol/frame.ts';
import { assertSafeToListen, ConfigError, readConfig } from '../../server/config.ts';
import { RateLimit } from '../../server/gateway/rate-limit.ts';
import { canonicalAddress, countedAddress, originOf, parseNetworks } from '../../server/shared/addresses.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { startTestServer, type TestServer, type TestServerOptions } from '../support/socket-server.ts';

const servers: TestServer[] = [];
let directory: string;
let certificate: string;
let key: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'covista-tls-'));
  [certificate, key] = [join(directory, 'certificate.pem'), join(directory, 'key.pem')];
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
  execFileSync('openssl', [...args, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
});

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

afterAll(() => rmSync(directory, { recursive: true }));

async function start(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await startTestServer(options);
  servers.push(server);
  return server;
}

const bearer = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } });

describe('a second factor', () => {
  const handlers = { 'dataset.delete': () => ({}), 'dataset.get': () => ({}) };
  const stepUp = { amr: ['otp', 'hwk'], acr: ['urn:two'] };

  test.each([
    [{}, 'step_up_required'],
    [{ amr: ['pwd'] }, 'step_up_required'],
    [{ amr: 'otp' }, 'step_up_required'],
    [{ acr: 'urn:one' }, 'step_up_required'],
    [{ acr: ['urn:two'] }, 'step_up_required'],
    [{ amr: ['pwd', 'otp'] }, 'accepted'],
    [{ acr: 'urn:two' }, 'accepted'],
  ])('AUTH18 with %o it is %s', async (claims, expected) => {
    const server = await start({ handlers, stepUp });
    const token = await server.token({ claims });
    const answer = await fetch(`${server.url}/api/datasets/1`, { method: 'DELETE', ...bearer(token) });
    if (expected === 'accepted') expect(answer.status).toBe(204);
    else {
      expect(answer.status).toBe(403);
      expect(await answer.json()).toMatchObject({ error: { code: expected, details: stepUp } });
    }
    expect((await fetch(`${server.url}/api/datasets/1`, bearer(token))).status).toBe(200);
  });

  test('AUTH18 without the settings nobody is asked', async () => {
    const server = await start({ handlers });
    expect((await server.fetch('/api/datasets/1', { method: 'DELETE' })).status).toBe(204);
  });
});

describe('rates', () => {
  test('AUTH19 requests of a subject beyond the rate are rate_limited, those of others are not', async () => {
    const server = await start({ limits: { requestsPerSubjectPerSecond: 5 } });
    const client = await RpcClient.open(server.port, await server.token());
    for (let number = 1; number <= 50; number += 1) client.request(number, 'session.whoami');
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => client.last(index + 1)));
    const refused = answers.filter((frame) => frame[0] === FRAME.error);
    expect(refused.length).toBeGreaterThan(20);
    expect(refused[0]?.[2]).toMatchObject({
      code: 'rate_limited',
      details: { requestsPerSubjectPerSecond: 5, retryAfterMs: expect.any(Number) },
    });
    const other = await RpcClient.open(server.port, await server.token({ subject: 'bob' }));
    other.request(1, 'session.whoami');
    expect((await other.last(1))[0]).toBe(FRAME.response);
  });

  test('AUTH19 HTTP requests of an address beyond the rate are 429 with Retry-After, before their token is looked at', async () => {
    const server = await start({ limits: { requestsPerAddressPerSecond: 5 } });
    const answers = await Promise.all(Array.from({ length: 50 }, () => fetch(`${server.url}/api/session`)));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(20);
    expect(refused[0]?.headers.get('retry-after')).toBe('1');
    expect(await refused[0]?.json()).toMatchObject({ error: { code: 'rate_limited', details: { retryAfterMs: expect.any(Number) } } });
  });

  test('AUTH19 an address whose tokens are refused too often is not heard, but for tokens that are known', async () => {
    const server = await start({ limits: { failedTokensPerAddressPerMinute: 5 } });
    const [known, unknown] = [await server.token(), await server.token({ subject: 'bob' })];
    expect((await fetch(`${server.url}/api/session`, bearer(known))).status).toBe(200);
    const codes = [];
    for (let count = 0; count < 10; count += 1) codes.push((await fetch(`${server.url}/api/session`, bearer(`nonsense-${count}`))).status);
    expect(codes.filter((status) => status === 401).length).toBeGreaterThanOrEqual(5);
    expect(codes.at(-1)).toBe(429);
    expect((await fetch(`${server.url}/api/session`, bearer(unknown))).status).toBe(429);
    expect((await fetch(`${server.url}/api/session`, bearer(known))).status).toBe(200);
  });

  test('AUTH19 a limit is exact to a batch, and forgets the key that was used longest ago', async () => {
    const limit = new RateLimit({ what: 'tries', limit: 'requestsPerSubjectPerSecond', most: 3, periodMs: 60_000, keysMax: 2 });
    const tries = async (who: string): Promise<string[]> => {
      const outcomes: string[] = [];
      for (let count = 0; count < 6; count += 1) {
        try {
          limit.take(who);
          outcomes.push('ok');
        } catch {
          outcomes.push('refused');
        }
        await Promise.resolve().then(() => undefined);
      }
      return outcomes;
    };
    const first = await tries('a');
    expect(first.filter((outcome) => outcome === 'ok').length).toBeLessThanOrEqual(4);
    expect(await tries('a')).not.toContain('ok');
    await tries('b');
    await tries('c');
    expect((await tries('a'))[0]).toBe('ok');
  });

  test('AUTH20 sockets of a subject and of an address are bounded, and make room when they close', async () => {
    const server = await start({ limits: { sessionsPerSubjectMax: 1, sessionsPerAddressMax: 3 } });
    const first = await RpcClient.open(server.port, await server.token());
    const second = await RpcClient.connect(server.port);
    second.send([FRAME.hello, 1, await server.token(), 'test']);
    expect(await second.errorCode(null)).toBe('rate_limited');
    expect((await second.closed).code).toBe(CLOSE_CODES.rate_limited);
    const others = [await RpcClient.connect(server.port), await RpcClient.connect(server.port)];
    await expect(RpcClient.connect(server.port)).rejects.toThrow('429');
    for (const other of others) await other.close();
    await first.close();
    await (await RpcClient.open(server.port, await server.token())).close();
  });
});

describe('origins', () => {
  const statusOfSocket = (server: TestServer, origin: string): Promise<number> =>
    new Promise((resolve) => {
      const socket = new WebSocket(`ws://127.0.0.1:${server.port}/rpc`, { headers: { origin } });
      socket.on('open', () => {
        socket.close();
        resolve(101);
      });
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
      socket.on('error', () => undefined);
    });

  test('AUTH21 sockets are open to pages of the server and of allowed origins only', async () => {
    const server = await start({ listening: { allowedOrigins: ['https://app.example'] } });
    const statuses = ['https://app.example', server.url, 'https://evil.example', 'https://app.example.evil', 'http://app.example', 'null'];
    expect(await Promise.all(statuses.map((origin) => statusOfSocket(server, origin)))).toEqual([101, 101, 403, 403, 403, 403]);
    const open = await start({ listening: { allowedOrigins: ['*'] } });
    expect(await statusOfSocket(open, 'https://evil.example')).toBe(101);
  });

  test('AUTH21 REST lets pages of allowed origins read its answers, errors too', async () => {
    const server = await start({ listening: { allowedOrigins: ['https://app.example'] } });
    const ask = (origin: string, path = '/api/session'): Promise<Response> => server.fetch(path, { headers: { origin } });
    const allowed = await ask('https://app.example');
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(allowed.headers.get('access-control-allow-credentials')).toBeNull();
    expect(allowed.headers.get('vary')).toContain('origin');
    expect((await ask('https://app.example', '/api/nothing')).headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect((await ask('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull();
  });

  test('AUTH21 preflights need no token', async () => {
    const server = await start({ listening: { allowedOrigins: ['https://app.example'] } });
    const preflight = (origin: string): Promise<Response> =>
      server.fetch('/api/datasets', { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST', authorization: '' } });
    const allowed = await preflight('https://app.example');
    expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([204, 'https://app.example']);
    expect(allowed.headers.get('access-control-allow-headers')).toContain('authorization');
    expect(allowed.headers.get('access-control-allow-methods')).toContain('DELETE');
    const refused = await preflight('https://evil.example');
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([403, null]);
  });

  test('AUTH22 pages may not be framed and run nothing foreign; nothing tells a Referer', async () => {
    const server = await start();
    const page = await fetch(`${server.url}/openapi.json`);
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self' 'wasm-unsafe-eval'");
    expect([page.headers.get('x-content-type-options'), page.headers.get('referrer-policy')]).toEqual(['nosniff', 'no-referrer']);
    expect(page.headers.get('strict-transport-security')).toBeNull();
    expect((await server.fetch('/api/session')).headers.get('referrer-policy')).toBe('no-referrer');
  });
});

describe('TLS', () => {
  const handshake = (port: number, version: SecureVersion): Promise<string> =>
    new Promise((resolve) => {
      const options = { port, host: '127.0.0.1', rejectUnauthorized: false, ciphers: 'DEFAULT@SECLEVEL=0' };
      const socket = connectTls({ ...options, minVersion: version, maxVersion: version }, () => {
        resolve(socket.getProtocol() ?? 'none');
        socket.destroy();
      });
      socket.on('error', () => resolve('refused'));
    });

  test('AUTH23 the port speaks TLS 1.2 and 1.3 and nothing older, over HTTP and sockets', async () => {
    const server = await start({ listening: { tls: { certificate, key } } });
    const versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
    expect(await Promise.all(versions.map((version) => handshake(server.port, version)))).toEqual(['refused', 'refused', 'TLSv1.2', 'TLSv1.3']);
    const hsts = await new Promise((resolve, reject) => {
      const request = httpsRequest(`${server.url}/healthz`, { rejectUnauthorized: false }, (response) => {
        response.resume();
        resolve(response.headers['strict-transport-security']);
      });
      request.on('error', reject).end();
    });
    expect(hsts).toBe('max-age=31536000');
    await expect(fetch(`http://127.0.0.1:${server.port}/healthz`)).rejects.toThrow();
    const socket = new WebSocket(`wss://127.0.0.1:${server.port}/rpc`, { rejectUnauthorized: false });
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
    socket.close();
  });

  test('AUTH23 files that are missing or do not belong together stop the start', async () => {
    for (const tls of [
      { certificate, key: join(directory, 'absent') },
      { certificate: key, key },
      { certificate, key: certificate },
    ]) {
      await expect(start({ listening: { tls } })).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringContaining(tls.key) });
    }
  });

  test.each([
    ['0.0.0.0', [], false],
    ['::', [], false],
    ['192.168.1.5', [], false],
    ['example.org', [], false],
    ['127.0.0.1', [], true],
    ['127.1.2.3', [], true],
    ['::1', [], true],
    ['localhost', [], true],
    ['0.0.0.0', ['--trusted-proxy', '10.0.0.0/8'], true],
    ['0.0.0.0', ['--tls-cert', 'c', '--tls-key', 'k'], true],
  ])('AUTH23 listening on %s with %o is safe: %s', (host, flags, isSafe) => {
    const check = (): void => assertSafeToListen(readConfig(['--host', host, ...flags], {}));
    if (isSafe) expect(check).not.toThrow();
    else expect(check).toThrow(ConfigError);
  });

  test.each([
    [['--tls-cert', 'c']],
    [['--tls-key', 'k']],
    [['--trusted-proxy', '10.0.0.0/33']],
    [['--trusted-proxy', 'proxy']],
    [['--allowed-origins', 'example.org']],
  ])('AUTH23 SET2 %o makes no sense', (flags) => {
    expect(() => readConfig(flags, {})).toThrow(ConfigError);
  });
});

describe('addresses', () => {
  test.each([
    ['10.0.0.1', '1.2.3.4', '1.2.3.4'],
    ['10.0.0.1', '6.6.6.6, 1.2.3.4', '1.2.3.4'],
    ['10.0.0.1', '1.2.3.4, 10.0.0.2', '1.2.3.4'],
    ['10.0.0.1', '', '10.0.0.1'],
    ['10.0.0.1', 'nonsense', '10.0.0.1'],
    ['10.0.0.1', '10.0.0.3', '10.0.0.3'],
    ['1.1.1.1', '1.2.3.4', '1.1.1.1'],
    ['::ffff:10.0.0.1', '2001:db8::0:1', '2001:db8::1'],
    ['0000:0000:0000:0000:0000:ffff:0a00:0001', '1.2.3.4', '1.2.3.4'],
  ])('AUTH24 who comes from %s with X-Forwarded-For "%s" is %s', (peer, forwardedFor, expected) => {
    expect(originOf(peer, forwardedFor, parseNetworks(['10.0.0.0/8']))).toBe(expected);
  });

  test('AUTH19 an IPv6 address counts with its network, an IPv4 address alone', () => {
    const counted = ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::9', '1.2.3.4', '::1', '2001:db8::1'].map((text) =>
      countedAddress(canonicalAddress(text) ?? ''),
    );
    expect(counted).toEqual(['2001:db8:1:2', '2001:db8:1:2', '1.2.3.4', '0:0:0:0', '2001:db8:0:0']);
  });
});
