import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { CLOSE_CODES } from '../../protocol/close-codes.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { Allowances } from '../../server/services/documents/allowance.ts';
import { awarenessMessage, encodeAwareness } from '../../server/services/documents/messages.ts';
import type { Channel, ChannelPeer, Opening } from '../../server/shared/channel.ts';
import { savedView } from '../support/entries.ts';
import { memoryDocument, quiet } from '../support/live-document.ts';
import { startTestServer, type TestServer, type TestServerOptions } from '../support/socket-server.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
/** Asks for all of a document, as y-websocket does. */
const STEP_1 = Uint8Array.of(0, 0, 1, 0);
const QUERY_AWARENESS = Uint8Array.of(3);

describe('what one channel sends', () => {
  test('DOC15 is counted with what the other channels of the connection send, also to other documents', async () => {
    const limits = { ...defaultLimits, documentUpdatesPerSecond: 2, documentRefusalsPerMinute: 120 };
    const allowances = new Allowances(limits);
    const documents = Array.from({ length: 5 }, () => memoryDocument(limits));
    const channels = documents.map((memory) => memory.connect('mallory', { allowances }));
    const alice = documents[0]?.connect('alice');
    await quiet();
    for (const { doc } of channels) for (let index = 0; index < 10; index += 1) doc.getText('own').insert(0, 'x');
    alice?.doc.getText('own').insert(0, 'x');
    await quiet();
    expect(channels.filter(({ closedBy }) => closedBy?.code === 'rate_limited').length).toBeGreaterThan(0);
    expect(alice?.isClosed).toBe(false);
  });

  test('DOC15 every channel asks for the state once, however many begin at once', async () => {
    const limits = { ...defaultLimits, documentSyncsPerSecond: 1 };
    const allowances = new Allowances(limits);
    const memory = memoryDocument(limits);
    const channels = Array.from({ length: 30 }, () => memory.connect('alice', { allowances }));
    await quiet();
    expect(channels.filter(({ isClosed }) => isClosed)).toEqual([]);
  });

  test.each([
    ['requests for the state', { documentSyncsPerSecond: 1 }, STEP_1],
    ['questions for presence', { awarenessMessagesPerSecond: 1 }, QUERY_AWARENESS],
  ])('DOC15 too many %s at once end the channel, and nobody else’s', async (_, limits, message) => {
    const memory = memoryDocument(limits);
    const [alice, bob] = [memory.connect('alice'), memory.connect('bob')];
    await quiet();
    for (let index = 0; index < 30; index += 1) bob.send(message);
    await quiet();
    expect(bob.closedBy).toMatchObject({ code: 'rate_limited', details: { retryAfterMs: 1_000 } });
    expect(alice.isClosed).toBe(false);
  });

  test('DOC15 moves of a cursor beyond the rate end the channel', async () => {
    const memory = memoryDocument({ awarenessMessagesPerSecond: 1 });
    const alice = memory.connect('alice');
    for (let row = 0; row < 30; row += 1) alice.awareness.setLocalState({ selection: { row } });
    await quiet();
    expect(alice.closedBy).toMatchObject({ code: 'rate_limited' });
  });

  test('DOC15 a presence message has so many bytes and no more, and large ones count as several', async () => {
    const memory = memoryDocument({ documentUpdateBytesMax: 8_000, awarenessMessagesPerSecond: 1 });
    const [alice, bob, carol] = [memory.connect('alice'), memory.connect('bob'), memory.connect('carol')];
    await quiet();
    const present = (client: typeof bob, bytes: number): void =>
      client.send(
        awarenessMessage(encodeAwareness([{ clientId: client.doc.clientID, clock: 1, json: JSON.stringify({ text: 'x'.repeat(bytes) }) }])),
      );
    present(bob, 8_000);
    for (let time = 0; time < 2; time += 1) present(carol, 7_900);
    await quiet();
    expect(bob.closedBy).toMatchObject({ code: 'payload_too_large', details: { documentUpdateBytesMax: 8_000 } });
    expect(carol.closedBy).toMatchObject({ code: 'rate_limited' });
    expect(alice.isClosed).toBe(false);
  });

  test('DOC15 too many bytes of edits at once end the channel', async () => {
    const memory = memoryDocument({ documentUpdateBytesPerSecond: 1_000 });
    const alice = memory.connect('alice');
    await quiet();
    for (let index = 0; index < 10; index += 1) alice.views().set(`v${index}`, savedView('alice', { description: 'x'.repeat(2_000) }));
    await quiet();
    expect(alice.closedBy).toMatchObject({ code: 'rate_limited' });
    expect(alice.views().size).toBe(10);
    expect(memory.document.doc.getMap('views').size).toBeLessThan(10);
  });

  test('DOC21 more edits than may wait for the database end every channel, and nobody has them', async () => {
    const memory = memoryDocument({ documentPendingBytesMax: 5_000 });
    const [alice, bob] = [memory.connect('alice'), memory.connect('bob')];
    await quiet();
    const gate = Promise.withResolvers<void>();
    memory.beforeCommit = () => gate.promise;
    for (let index = 0; index < 10; index += 1) alice.views().set(`v${index}`, savedView('alice', { description: 'x'.repeat(2_000) }));
    await quiet();
    for (const { closedBy } of [alice, bob]) expect(closedBy).toMatchObject({ code: 'unavailable' });
    expect(bob.views().size).toBe(0);
    gate.resolve();
    await quiet();
    expect(bob.views().size).toBe(0);
  });
});

describe('a socket of its own', () => {
  const servers: TestServer[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  interface Opened {
    readonly received: Uint8Array[];
    peer: ChannelPeer | undefined;
    closed: number;
  }

  /** A server whose documents note what they get, and a client of it. */
  async function connect({ beforeOpening, ...options }: TestServerOptions & { readonly beforeOpening?: () => Promise<void> } = {}): Promise<{
    readonly opened: Opened;
    readonly client: WebSocket;
    readonly code: Promise<number>;
  }> {
    const opened: Opened = { received: [], peer: undefined, closed: 0 };
    const attach = (peer: ChannelPeer): Channel => {
      opened.peer = peer;
      return {
        receive: (bytes) => {
          opened.received.push(bytes);
        },
        closed: () => {
          opened.closed += 1;
        },
      };
    };
    const opening: Opening<unknown> = { opened: { documentId: 'd', subject: 'alice', canWrite: true }, attach, abandon: () => undefined };
    const server = await startTestServer({
      handlers: { 'document.connect': () => (beforeOpening === undefined ? opening : beforeOpening().then(() => opening)) },
      ...options,
    });
    servers.push(server);
    const client = new WebSocket(`ws://127.0.0.1:${server.port}/documents/dataset/1?token=${await server.token()}`);
    const code = once(client, 'close').then(([closedWith]) => closedWith as number);
    await once(client, 'open');
    return { opened, client, code };
  }

  const peerOf = async (opened: Opened): Promise<ChannelPeer> => {
    await expect.poll(() => opened.peer).toBeDefined();
    return opened.peer as ChannelPeer;
  };

  test('CH7 what comes before the channel is open waits and is delivered in order', async () => {
    const gate = Promise.withResolvers<void>();
    const { opened, client } = await connect({ beforeAuthentication: () => gate.promise });
    for (const byte of [1, 2, 3]) client.send(Uint8Array.of(byte));
    const answered = once(client, 'pong');
    client.ping();
    await answered;
    expect(opened.peer).toBeUndefined();
    gate.resolve();
    await expect.poll(() => opened.received.map(([byte]) => byte)).toEqual([1, 2, 3]);
    client.close();
  });

  test('CH7 once the token is accepted, as much may wait for the channel as one message may have', async () => {
    const gate = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const limits = { helloBytesMax: 16 * KiB, frameBytesMax: 32 * KiB, fragmentBytes: 16 * KiB, requestBytesMax: 64 * KiB };
    const beforeOpening = (): Promise<void> => {
      asked.resolve();
      return gate.promise;
    };
    const { opened, client } = await connect({ limits, beforeOpening });
    await asked.promise;
    client.send(new Uint8Array(60 * KiB));
    gate.resolve();
    await expect.poll(() => opened.received.map(({ length }) => length)).toEqual([60 * KiB]);
    client.close();
  });

  test('CH7 more than that closes the socket, which opens nothing', async () => {
    const asked = Promise.withResolvers<void>();
    const limits = { helloBytesMax: 16 * KiB, frameBytesMax: 32 * KiB, fragmentBytes: 16 * KiB, requestBytesMax: 64 * KiB };
    const beforeOpening = (): Promise<void> => {
      asked.resolve();
      return new Promise(() => undefined);
    };
    const { opened, client, code } = await connect({ limits, beforeOpening });
    await asked.promise;
    for (const part of [60 * KiB, 8 * KiB]) client.send(new Uint8Array(part));
    expect(await code).toBe(CLOSE_CODES.payload_too_large);
    expect(opened.peer).toBeUndefined();
  });

  test('CH7 more bytes than may come before the channel is open close the socket, which opens nothing', async () => {
    const gate = Promise.withResolvers<void>();
    const { opened, client, code } = await connect({ beforeAuthentication: () => gate.promise, limits: { helloBytesMax: 16 * KiB } });
    for (let sent = 0; sent < 20; sent += 1) client.send(new Uint8Array(KiB));
    expect(await code).toBe(CLOSE_CODES.payload_too_large);
    gate.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    expect(opened.peer).toBeUndefined();
  });

  test('CH4 what waits for a slow reader is known, and nothing waits once they have read it', async () => {
    const { opened, client } = await connect({ limits: { channelOutboxBytesMax: 64 * MiB, outboxBytesMax: 64 * MiB } });
    const peer = await peerOf(opened);
    peer.send(new Uint8Array(10));
    expect(peer.queuedBytes).toBe(0);
    client.pause();
    for (let sent = 0; sent < 200 && peer.queuedBytes === 0; sent += 1) peer.send(new Uint8Array(256 * KiB));
    expect(peer.queuedBytes).toBeGreaterThan(0);
    client.resume();
    await expect.poll(() => peer.queuedBytes).toBe(0);
    expect(opened.closed).toBe(0);
    client.close();
  });

  test('CH4 a reader who is too far behind loses the socket, and no more than the bound has waited', async () => {
    const { opened, client, code } = await connect({ limits: { channelOutboxBytesMax: 1 * MiB } });
    const peer = await peerOf(opened);
    client.pause();
    let most = 0;
    for (let sent = 0; sent < 400 && opened.closed === 0; sent += 1) {
      peer.send(new Uint8Array(256 * KiB));
      most = Math.max(most, peer.queuedBytes);
    }
    expect(opened.closed).toBe(1);
    expect(most).toBeLessThanOrEqual(1 * MiB + 256 * KiB + KiB);
    client.resume();
    expect(await code).toBe(CLOSE_CODES.slow_consumer);
  });
});
