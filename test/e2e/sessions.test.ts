import { createHash } from 'node:crypto';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLOSE_CODES } from '../../protocol/close-codes.ts';
import { encodeFrame, FRAME } from '../../protocol/frame.ts';
import type { TokenRequest } from '../../server/gateway/mint.ts';
import { query } from '../support/inspect.ts';
import { restClient } from '../support/rest.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let second: TestServer;

beforeAll(async () => {
  server = await startTestServer();
  second = await startTestServer([], { database: server.databaseUrl });
});

afterAll(async () => {
  await second?.stop();
  await server?.stop();
});

let people = 0;
function newPerson(): string {
  people += 1;
  return `person-${people}`;
}

const portOf = ({ url }: TestServer): number => Number(new URL(url).port);

async function revoke(input: Record<string, unknown>): Promise<Record<string, unknown>> {
  const admin = await server.rest('operator', { admin: true });
  const answer = await admin.send('POST', '/api/sessions/revocations', {
    body: JSON.stringify(input),
    headers: { 'content-type': 'application/json' },
  });
  expect(answer.status).toBe(201);
  return answer.body as Record<string, unknown>;
}

async function statusOf(url: string, token: string): Promise<number> {
  return (await restClient(url, token).get('/api/session')).status;
}

function jtiOf(token: string): string {
  return decodeJwt(token).jti ?? '';
}

describe('revoking', () => {
  test('AUTH13 a revoked token is refused from then on, by its id, and other tokens of the subject are not', async () => {
    const alice = newPerson();
    const [stolen, other] = [await server.token(alice), await server.token(alice)];
    expect([await statusOf(server.url, stolen), await statusOf(server.url, other)]).toEqual([200, 200]);
    expect(await revoke({ tokenId: jtiOf(stolen), reason: 'stolen' })).toMatchObject({
      tokenId: jtiOf(stolen),
      subject: null,
      issuedBefore: null,
      expiresAt: null,
      reason: 'stolen',
      revokedBy: 'operator',
    });
    expect([await statusOf(server.url, stolen), await statusOf(server.url, other)]).toEqual([401, 200]);
    const refused = await restClient(server.url, stolen).get('/api/session');
    expect(refused.body).toMatchObject({ error: { code: 'unauthenticated', message: expect.stringContaining('revoked') } });
    const client = await RpcClient.connect(portOf(server));
    client.send([FRAME.hello, 1, stolen, 'test']);
    expect(await client.errorCode(null)).toBe('unauthenticated');
  });

  test('AUTH13 a revoked subject loses the tokens that it has, not those that it gets afterwards', async () => {
    const alice = newPerson();
    const before = await server.token(alice);
    await revoke({ subject: alice });
    expect(await statusOf(server.url, before)).toBe(401);
    expect(await statusOf(server.url, await server.token(alice))).toBe(200);
    expect(await statusOf(server.url, await server.token(newPerson()))).toBe(200);
  });

  test('AUTH13 with issuedBefore in the future, a subject stays out until then', async () => {
    const alice = newPerson();
    await revoke({ subject: alice, issuedBefore: new Date(Date.now() + 3_600_000).toISOString() });
    expect(await statusOf(server.url, await server.token(alice))).toBe(401);
    await revoke({ subject: alice });
    expect(await statusOf(server.url, await server.token(alice))).toBe(401);
  });

  test.each(['subject', 'tokenId'])('AUTH14 open sockets and streams end with session_revoked, by %s, on every server', async (by) => {
    const alice = newPerson();
    const admin = await server.rest('operator', { admin: true });
    const made = await admin.send('POST', '/api/datasets', { body: '{"name":"x"}', headers: { 'content-type': 'application/json' } });
    const { datasetId } = made.body as { datasetId: number };
    await admin.send('POST', `/api/datasets/${datasetId}/permissions`, {
      body: JSON.stringify({ principal: `user:${alice}`, permission: 'read' }),
      headers: { 'content-type': 'application/json' },
    });
    const token = await server.token(alice);
    const bystander = await RpcClient.open(portOf(server), await server.token(newPerson()));
    const sockets = [await RpcClient.open(portOf(server), token), await RpcClient.open(portOf(second), token)];
    const watch = await fetch(`${second.url}/api/datasets/${datasetId}/events?after=0`, { headers: { authorization: `Bearer ${token}` } });
    expect(watch.status).toBe(200);
    await revoke(by === 'subject' ? { subject: alice, reason: 'left' } : { tokenId: jtiOf(token), reason: 'left' });
    for (const socket of sockets) {
      const error = await socket.frame((frame) => frame[0] === FRAME.error);
      expect(error[2]).toMatchObject({ code: 'session_revoked', message: expect.stringContaining('left') });
      expect((await socket.closed).code).toBe(CLOSE_CODES.session_revoked);
    }
    const lines = (await watch.text()).trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ error: { code: 'session_revoked' } });
    expect(await statusOf(second.url, token)).toBe(401);
    bystander.request(1, 'session.whoami');
    expect((await bystander.last(1))[0]).toBe(FRAME.response);
    await bystander.close();
  });

  test('AUTH14 a session whose token was refreshed ends with the token that it lives on', async () => {
    const alice = newPerson();
    const [first, next] = [await server.token(alice), await server.token(alice)];
    const client = await RpcClient.open(portOf(server), first);
    client.send([FRAME.refresh, next]);
    await client.frame((frame) => frame[0] === FRAME.refreshed);
    await revoke({ tokenId: jtiOf(first) });
    client.request(1, 'session.whoami');
    expect((await client.last(1))[0]).toBe(FRAME.response);
    client.send([FRAME.refresh, first]);
    expect(await client.errorCode(null)).toBe('unauthenticated');
    await revoke({ tokenId: jtiOf(next) });
    expect((await client.closed).code).toBe(CLOSE_CODES.session_revoked);
  });

  test('AUTH15 revocations survive a restart, and are forgotten when the tokens have ended', async () => {
    const own = await startTestServer();
    const admin = await own.rest('operator', { admin: true });
    const send = (input: object) =>
      admin.send('POST', '/api/sessions/revocations', { body: JSON.stringify(input), headers: { 'content-type': 'application/json' } });
    const [alice, bob] = [await own.token('alice'), await own.token('bob')];
    await send({ subject: 'alice' });
    await send({ tokenId: jtiOf(bob), expiresAt: new Date(Date.now() + 3_600_000).toISOString() });
    await send({ tokenId: 'ended', expiresAt: new Date(Date.now() - 3_600_000).toISOString() });
    expect(await query(own.databaseUrl, 'SELECT token_id FROM revocations WHERE token_id = $1', ['ended'])).toHaveLength(1);
    await own.restart();
    expect([await statusOf(own.url, alice), await statusOf(own.url, bob)]).toEqual([401, 401]);
    expect(await query(own.databaseUrl, 'SELECT token_id FROM revocations WHERE token_id = $1', ['ended'])).toEqual([]);
    await own.stop();
  });

  test('AUTH15 no more than revocationsMax are kept, and the admin is told', async () => {
    const own = await startTestServer(['--revocations-max', '2']);
    const admin = await own.rest('operator', { admin: true });
    const send = (input: object) =>
      admin.send('POST', '/api/sessions/revocations', { body: JSON.stringify(input), headers: { 'content-type': 'application/json' } });
    expect([(await send({ tokenId: '1' })).status, (await send({ tokenId: '2' })).status]).toEqual([201, 201]);
    expect((await send({ tokenId: '3' })).body).toMatchObject({ error: { code: 'conflict', details: { revocationsMax: 2 } } });
    await own.stop();
  });

  test.each([
    ['nothing', {}],
    ['both', { tokenId: 'x', subject: 'y' }],
    ['issuedBefore of a token', { tokenId: 'x', issuedBefore: '2026-01-01T00:00:00Z' }],
  ])('AUTH13 %s cannot be revoked', async (_what, input) => {
    const admin = await server.rest('operator', { admin: true });
    const answer = await admin.send('POST', '/api/sessions/revocations', {
      body: JSON.stringify(input),
      headers: { 'content-type': 'application/json' },
    });
    expect(answer.body).toMatchObject({ error: { code: 'invalid_input' } });
  });
});

describe('tickets', () => {
  async function ticketOf(token: string): Promise<{ ticket: string; expiresAt: string }> {
    const answer = await restClient(server.url, token).send('POST', '/api/sessions/tickets', {
      body: '{}',
      headers: { 'content-type': 'application/json' },
    });
    expect(answer.status).toBe(201);
    return answer.body as { ticket: string; expiresAt: string };
  }

  const redeem = (url: string, ticket: string): Promise<Response> => fetch(`${url}/api/session?token=${ticket}`);

  test('AUTH16 a ticket stands for the token of the caller once, on any server', async () => {
    const request: Partial<TokenRequest> = { claims: { groups: ['a'], note: 'NUL \0 and half \ud800' }, ttlMs: 3_600_000 };
    const token = await server.token('ticketed', request);
    const { ticket, expiresAt } = await ticketOf(token);
    expect(Date.parse(expiresAt) - Date.now()).toBeLessThanOrEqual(30_000);
    const direct = (await restClient(server.url, token).get('/api/session')).body;
    expect(await (await redeem(second.url, ticket)).json()).toEqual(direct);
    for (const url of [server.url, second.url]) expect((await redeem(url, ticket)).status).toBe(401);
  });

  test('AUTH16 of many who use a ticket at once, one gets in', async () => {
    const { ticket } = await ticketOf(await server.token('racer'));
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => redeem(index % 2 === 0 ? server.url : second.url, ticket)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(9);
  });

  test('AUTH16 a ticket opens a socket, whose session ends with the token', async () => {
    const token = await server.token('ticketed', { ttlMs: 3_600_000 });
    const { ticket } = await ticketOf(token);
    const client = await RpcClient.connect(portOf(server));
    client.socket.send(encodeFrame([FRAME.hello, 1, ticket, 'test']));
    const welcome = await client.frame((frame) => frame[0] === FRAME.welcome);
    const { exp = 0 } = decodeJwt(token);
    expect(welcome[2]).toEqual({ subject: 'ticketed', expiresAt: new Date(exp * 1000).toISOString() });
    await revoke({ tokenId: jtiOf(token) });
    expect((await client.closed).code).toBe(CLOSE_CODES.session_revoked);
  });

  test('AUTH16 a ticket of a token that was revoked meanwhile is refused', async () => {
    const token = await server.token(newPerson());
    const { ticket } = await ticketOf(token);
    await revoke({ tokenId: jtiOf(token) });
    expect((await redeem(server.url, ticket)).status).toBe(401);
  });

  test('AUTH17 a ticket ends after ticketKeepMs or with its token, and the database has only its hash', async () => {
    const { ticket } = await ticketOf(await server.token('late'));
    const stored = await query<{ hash: string }>(server.databaseUrl, `SELECT t.*, t::text AS text FROM tickets t WHERE subject = 'late'`);
    expect(stored).toHaveLength(1);
    expect(JSON.stringify(stored)).not.toContain(ticket.slice('ticket_'.length));
    expect(stored[0]?.hash).toBe(createHash('sha256').update(ticket).digest('base64url'));
    await query(server.databaseUrl, `UPDATE tickets SET expires_at = now() WHERE subject = 'late'`);
    expect((await redeem(server.url, ticket)).status).toBe(401);
    const brief = await server.token('brief', { ttlMs: 25_000 });
    const { expiresAt } = await ticketOf(brief);
    expect(Date.parse(expiresAt)).toBe((decodeJwt(brief).exp ?? 0) * 1000);
  });

  test('AUTH17 nobody can pile up tickets, and those that have ended make room', async () => {
    const own = await startTestServer(['--tickets-per-subject-max', '2']);
    const alice = await own.client('alice');
    await alice.session.ticket({});
    await alice.session.ticket({});
    await expect(alice.session.ticket({})).rejects.toMatchObject({ code: 'rate_limited', details: { retryAfterMs: 30_000 } });
    await query(own.databaseUrl, 'UPDATE tickets SET expires_at = now()');
    await alice.session.ticket({});
    await own.stop();
  });

  test.each(['ticket_', `ticket_${'A'.repeat(43)}`, `ticket_${'A'.repeat(44)}`])('AUTH16 %s is refused', async (ticket) => {
    expect((await redeem(server.url, ticket)).status).toBe(401);
  });
});
