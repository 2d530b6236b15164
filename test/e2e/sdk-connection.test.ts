import { describe, expect, test } from 'vitest';
import { type ConnectionState, connect } from '../../client/index.ts';
import { encodeFrame, FRAME } from '../../protocol/frame.ts';
import type { CallContext } from '../../server/operations/handler.ts';
import { gate, QUICK, startSdk, untilState } from '../support/sdk.ts';

describe('the life of a connection', () => {
  test('SDK1 it connects at once, tells its states, and ends closed', async () => {
    const { client } = await startSdk();
    const kinds: string[] = [];
    client.onState((state) => kinds.push(state.kind));
    expect(client.state).toEqual({ kind: 'connecting', attempt: 0 });
    expect(await client.ready()).toEqual({ subject: 'alice', expiresAt: null });
    expect(client.state).toMatchObject({ kind: 'open', session: { subject: 'alice' }, bounds: { fragmentBytes: 65_536 } });
    client.close();
    expect(client.state).toMatchObject({ kind: 'closed', reason: { code: 'cancelled' } });
    await expect(client.session.whoami()).rejects.toMatchObject({ name: 'CovistaError', code: 'cancelled' });
    await expect(client.ready()).rejects.toMatchObject({ code: 'cancelled' });
    await Promise.resolve();
    expect(kinds).toEqual(['open', 'closed']);
  });

  test('SDK1 a lost connection is waited for and opened again', async () => {
    const { client, proxy } = await startSdk();
    await client.ready();
    const states: ConnectionState[] = [];
    client.onState((state) => states.push(state));
    proxy.cut();
    await untilState(client, 'waiting');
    await untilState(client, 'open');
    expect(states.map(({ kind }) => kind)).toEqual(['waiting', 'connecting', 'open']);
    expect(states[0]).toMatchObject({ attempt: 1, reason: { code: 'unavailable' } });
    expect(proxy.opened).toBe(2);
  });

  test('SDK1 what a listener throws does not end the connection', async () => {
    const { client } = await startSdk();
    const stop = client.onState(() => undefined);
    stop();
    await client.ready();
    expect((await client.session.whoami()).subject).toBe('alice');
  });

  test('SDK12 attempts that fail are counted up to the bound, then the client closes and says why', async () => {
    const { proxy, connect: open } = await startSdk();
    proxy.refuse();
    const client = await open({ settings: { ...QUICK, attemptsMax: 2 } });
    await expect(client.session.whoami()).rejects.toMatchObject({ code: 'unavailable' });
    expect(client.state).toMatchObject({ kind: 'closed', reason: { code: 'unavailable' } });
  });

  test('SDK12 a token that is not accepted closes the client, and every call says so', async () => {
    const { connect: open } = await startSdk();
    const client = await open({ token: 'not-a-token' });
    await expect(client.session.whoami()).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(client.state).toMatchObject({ kind: 'closed', reason: { code: 'unauthenticated' } });
  });

  test('SDK12 an address that is none is refused at once', () => {
    expect(() => connect({ url: 'ftp://127.0.0.1', token: 'x' })).toThrow(TypeError);
  });

  test('SDK17 a connection that has gone silent is probed and replaced', async () => {
    const { client, proxy } = await startSdk({}, { settings: { heartbeatMs: 300 } });
    await client.ready();
    proxy.freeze();
    const { reason } = await untilState(client, 'waiting');
    expect(reason.code).toBe('unavailable');
    proxy.cut();
    proxy.resume();
    expect((await client.session.whoami()).subject).toBe('alice');
  });

  test('SDK17 a quiet connection that answers its probe stays', async () => {
    const { client, proxy } = await startSdk({}, { settings: { heartbeatMs: 2_000 } });
    await client.ready();
    const quiet = proxy.sentBytes;
    // Two probes: the second is only sent on a connection that has answered the first.
    const probeBytes = encodeFrame([FRAME.request, 0, 'session.whoami', {}, null, false]).length;
    await expect.poll(() => proxy.sentBytes).toBeGreaterThanOrEqual(quiet + 2 * probeBytes);
    expect(client.state.kind).toBe('open');
    expect(proxy.opened).toBe(1);
  });
});

describe('goodbye', () => {
  test('SDK11 what is under way is answered, what comes after waits for the next connection', async () => {
    const slow = gate();
    const { client, server, proxy } = await startSdk({
      handlers: { 'dataset.get': ({ datasetId }: { datasetId: number }) => slow.opened.then(() => ({ datasetId })) },
      limits: { reconnectDelayMs: 1 },
    });
    const next = await startSdk();
    await client.ready();
    const underWay = client.dataset.get({ datasetId: 7 });
    await client.session.whoami();
    proxy.target(next.server.port);
    server.listener.stopAccepting();
    const closing = server.listener.closeAll('maintenance');
    const { reason } = await untilState(client, 'waiting');
    expect(reason.code).toBe('draining');
    const later = client.session.whoami();
    expect((await later).subject).toBe('alice');
    slow.open();
    expect(await underWay).toEqual({ datasetId: 7 });
    await closing;
    expect(client.state.kind).toBe('open');
    expect(proxy.opened).toBe(2);
  });

  test('SDK11 a stream without an end goes on at the next connection at once', async () => {
    const asked: (number | undefined)[] = [];
    const watch = async function* ({ after }: { after?: number }, { signal }: CallContext): AsyncGenerator<unknown> {
      asked.push(after);
      if (after === undefined) yield { sequence: 41 };
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    };
    const handlers = { 'dataset.watch': watch };
    const { client, server, proxy } = await startSdk({ handlers, limits: { reconnectDelayMs: 1 } });
    const next = await startSdk({ handlers });
    const events = client.dataset.watch({ datasetId: 1 })[Symbol.asyncIterator]();
    expect((await events.next()).value).toEqual({ sequence: 41 });
    const following = events.next();
    proxy.target(next.server.port);
    server.listener.stopAccepting();
    await server.listener.closeAll('maintenance');
    await expect.poll(() => asked).toEqual([undefined, 41]);
    await events.return?.();
    expect(await following).toEqual({ done: true, value: undefined });
  });
});

describe('tokens', () => {
  test('SDK10 a token function is asked before the token ends, and the connection stays', async () => {
    const { server, connect: open } = await startSdk();
    let asked = 0;
    const client = await open({
      token: () => {
        asked += 1;
        return server.token({ ttlMs: asked === 1 ? 60_000 : 3_600_000 });
      },
      settings: { refreshBeforeMs: 58_900 },
    });
    const first = await client.ready();
    const refreshed = await new Promise<ConnectionState>((resolve) => {
      const stop = client.onState((state) => {
        stop();
        resolve(state);
      });
    });
    expect(refreshed.kind).toBe('open');
    expect(asked).toBe(2);
    const { expiresAt } = await client.session.whoami();
    expect(Date.parse(expiresAt ?? '')).toBeGreaterThan(Date.parse(first.expiresAt ?? ''));
  });

  test('SDK10 a function that fails is asked again, at the latest after the session has ended', async () => {
    const { server, connect: open } = await startSdk();
    let asked = 0;
    const client = await open({
      token: async () => {
        asked += 1;
        if (asked === 2) throw new Error('the issuer is down');
        return server.token({ ttlMs: asked === 1 ? 60_000 : 3_600_000 });
      },
      settings: { refreshBeforeMs: 58_900 },
    });
    await client.ready();
    await expect.poll(() => asked).toBe(3);
    await expect.poll(async () => Date.parse((await client.session.whoami()).expiresAt ?? '')).toBeGreaterThan(Date.now() + 600_000);
  });

  /** Long enough for a busy machine to accept the token before it ends. */
  const SOON_MS = 5_000;

  test('SDK10 a session that has ended begins again with a fresh token', async () => {
    const { server, connect: open } = await startSdk();
    const ended = gate();
    let asked = 0;
    const client = await open({
      token: async () => {
        asked += 1;
        // The renewal comes too late for the session.
        if (asked === 2) await ended.opened;
        return server.token({ ttlMs: asked === 1 ? SOON_MS : 3_600_000 });
      },
    });
    await client.ready();
    const { reason } = await untilState(client, 'waiting');
    expect(reason.code).toBe('session_expired');
    ended.open();
    expect((await client.session.whoami()).subject).toBe('alice');
  });

  test('SDK10 a token that never changes ends the client when it ends', async () => {
    const { server, connect: open } = await startSdk();
    const client = await open({ token: await server.token({ ttlMs: SOON_MS }) });
    await client.ready();
    const { reason } = await untilState(client, 'closed');
    expect(reason.code).toBe('session_expired');
    await expect(client.session.whoami()).rejects.toMatchObject({ code: 'session_expired' });
  });

  test('SDK10 a stale token from a function is replaced once; a second refusal closes', async () => {
    const { server, connect: open } = await startSdk();
    const tokens = ['stale', await server.token()];
    const client = await open({ token: () => tokens.shift() ?? 'none' });
    expect((await client.session.whoami()).subject).toBe('alice');
    const hopeless = await open({ token: () => 'stale' });
    const { reason } = await untilState(hopeless, 'closed');
    expect(reason.code).toBe('unauthenticated');
  });
});
