import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import type { CallContext } from '../../server/operations/handler.ts';
import { startTestServer, type TestServer } from '../support/socket-server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({
    authorize: () => {
      throw new CovistaError('forbidden', 'no', {});
    },
  });
});

afterAll(() => server.close());

async function errorOf(response: Response): Promise<{ status: number; code: string; message: string; details: Record<string, unknown> }> {
  const { error } = (await response.json()) as { error: { code: string; message: string; details: Record<string, unknown> } };
  return { status: response.status, ...error };
}

/** Sends a request as it is written, and answers with the first bytes of the response. */
function raw(text: string, { port }: TestServer = server): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.once('data', (data) => {
      resolve(data.toString());
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

/** Sends what is no request, hangs up, and waits until the server has too. */
function dump(text: string, { port }: TestServer = server): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(text));
    socket.resume();
    socket.once('error', () => undefined);
    socket.once('close', () => resolve());
  });
}

describe('who asks', () => {
  test('AUTH1 AUTH2 without a token, or with one that is none, a request is 401 with WWW-Authenticate', async () => {
    for (const authorization of ['', 'Bearer', 'Bearer a b', 'Basic abc', 'Bearer nonsense']) {
      const response = await server.fetch('/api/session', { headers: { authorization } });
      expect(response.headers.get('www-authenticate')).toBe('Bearer realm="covista"');
      expect(await errorOf(response)).toMatchObject({ status: 401, code: 'unauthenticated' });
    }
  });

  test('AUTH2 ?token= serves clients that cannot set headers; the header wins over it', async () => {
    const bob = await server.token({ subject: 'bob' });
    const none = { headers: { authorization: '' } };
    expect(await (await server.fetch(`/api/session?token=${bob}`, none)).json()).toMatchObject({ subject: 'bob' });
    expect(await (await server.fetch(`/api/session?token=${bob}`)).json()).toMatchObject({ subject: 'alice' });
    expect(await errorOf(await server.fetch(`/api/datasets/1?token=${bob}`, none))).toMatchObject({ status: 403, code: 'forbidden' });
  });

  test('AUTH2 a body is not read before its sender is known', async () => {
    const head = 'POST /api/datasets/1/branches/main/commit HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n';
    expect(await raw(head)).toMatch(/^HTTP\/1.1 401 /);
  });

  test('AUTH2 headers of 8 KiB tokens fit, and larger ones than the bound are refused', async () => {
    const response = await server.fetch('/api/session', { headers: { authorization: `Bearer ${'x'.repeat(8_000)}` } });
    expect(response.status).toBe(401);
    expect(await raw(`GET /api/session HTTP/1.1\r\nHost: x\r\nAuthorization: ${'x'.repeat(40_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 (431|400) /);
  });
});

describe('bodies that stall', () => {
  test('REST5 a body that stalls fails with timeout, and a client that goes away fails it too', async () => {
    const reasons: string[] = [];
    const start = (httpBodyIdleMs: number): Promise<TestServer> =>
      startTestServer({
        limits: { httpBodyIdleMs },
        handlers: {
          'upload.write': async (_input: unknown, { body }: CallContext) => {
            try {
              for await (const _chunk of body ?? []) reasons.push('bytes');
            } catch (fault) {
              reasons.push((fault as CovistaError).code);
              throw fault;
            }
          },
        },
      });
    const [impatient, patient] = [await start(40), await start(60_000)];
    const token = await server.token();
    const head = `PUT /api/uploads/5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e?offset=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 10\r\n\r\nabc`;
    expect(await raw(head, impatient)).toMatch(/^HTTP\/1.1 504 /);
    expect(reasons).toEqual(['bytes', 'timeout']);
    await dump(head, patient);
    await expect.poll(() => reasons).toEqual(['bytes', 'timeout', 'bytes', 'cancelled']);
    impatient.close();
    patient.close();
  });
});

describe('the rest of the port', () => {
  test('REST12 health, readiness and the description need no token', async () => {
    const none = { headers: { authorization: '' } };
    expect((await server.fetch('/healthz', none)).status).toBe(200);
    expect((await server.fetch('/readyz', none)).status).toBe(200);
    expect(await (await server.fetch('/openapi.json', none)).json()).toMatchObject({ openapi: '3.1.0' });
    expect((await server.fetch('/healthz', { ...none, method: 'HEAD' })).headers.get('content-length')).toBe('6');
  });

  test('REST12 a server that is not ready says 503', async () => {
    const starting = await startTestServer({ ready: () => false });
    expect((await starting.fetch('/readyz')).status).toBe(503);
    expect((await starting.fetch('/healthz')).status).toBe(200);
    starting.close();
  });

  test.each([
    'GARBAGE\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    '\0\0\0\r\n\r\n',
  ])('REST12 what is no HTTP is refused and the server serves on: %j', async (text) => {
    await dump(text);
    expect((await server.fetch('/healthz')).status).toBe(200);
  });
});
