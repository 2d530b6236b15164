import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { resolveLimits } from '../../protocol/limits.ts';
import { signatureOf, Webhook } from '../../server/services/alerts/webhook.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { createLog } from '../../server/shared/log.ts';

const SECRET = 'a secret between server and receiver';

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let close: (() => void) | undefined;

afterEach(() => close?.());

/** A receiver that answers with these statuses in turn, then with 204; the first answer comes when it may. */
async function receiver(statuses: number[], mayAnswer: Promise<void> = Promise.resolve()) {
  const received: Received[] = [];
  const http = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    received.push({ headers: request.headers, body });
    await mayAnswer;
    response.writeHead(statuses.shift() ?? 204).end();
  }).listen(0, '127.0.0.1');
  close = () => {
    http.closeAllConnections();
    http.close();
  };
  await once(http, 'listening');
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/alerts`, received };
}

const webhookTo = (url: string, limits: Parameters<typeof resolveLimits>[0] = {}): Webhook =>
  new Webhook({
    url,
    secret: SECRET,
    limits: resolveLimits({ alertWebhookBackoffMs: 10, ...limits }),
    clock: systemClock,
    log: createLog('silent', false),
  });

const numberOf = ({ body }: Received): number => (JSON.parse(body) as { number: number }).number;

test('OPS9 messages come in order, signed, and one that is not taken keeps those behind it', async () => {
  const { url, received } = await receiver([503, 204, 500, 500]);
  const webhook = webhookTo(url);
  for (const number of [1, 2, 3]) webhook.send({ number });
  await expect.poll(() => webhook.state.queued).toBe(0);
  await webhook.close();
  expect(received.map(numberOf)).toEqual([1, 1, 2, 2, 2, 3]);
  for (const number of [1, 2, 3]) {
    const deliveries = received.filter((message) => numberOf(message) === number).map(({ headers }) => headers['x-covista-delivery']);
    expect(new Set(deliveries).size).toBe(1);
  }
  expect(new Set(received.map(({ headers }) => headers['x-covista-delivery'])).size).toBe(3);
  for (const { headers, body } of received)
    expect(headers['x-covista-signature']).toBe(`sha256=${signatureOf(SECRET, Number(headers['x-covista-timestamp']), body)}`);
  expect(webhook.state).toMatchObject({ delivered: 3, failedAttempts: 3, dropped: 0 });
});

test('OPS9 a stop delivers what waits', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { url, received } = await receiver([503], promise);
  const webhook = webhookTo(url);
  for (const number of [1, 2, 3]) webhook.send({ number });
  await expect.poll(() => received.length).toBe(1);
  const closing = webhook.close();
  resolve();
  await closing;
  expect(received.map(numberOf)).toEqual([1, 1, 2, 3]);
  expect(webhook.state).toMatchObject({ delivered: 3, queued: 0 });
});

test('OPS9 a receiver that takes nothing holds up no stop', async () => {
  const { url, received } = await receiver(new Array<number>(10).fill(503));
  const webhook = webhookTo(url, { alertWebhookBackoffMs: 60_000 });
  for (const number of [1, 2, 3]) webhook.send({ number });
  await expect.poll(() => webhook.state.failedAttempts).toBe(1);
  await webhook.close();
  expect(received.map(numberOf)).toEqual([1, 1]);
  expect(webhook.state).toMatchObject({ delivered: 0, queued: 3 });
});

test('OPS9 a stop gives up what takes longer than it may', async () => {
  const { url } = await receiver([], new Promise(() => undefined));
  const webhook = webhookTo(url, { drainTimeoutMs: 100 });
  webhook.send({ number: 1 });
  await webhook.close();
  expect(webhook.state).toMatchObject({ delivered: 0, queued: 1 });
});
