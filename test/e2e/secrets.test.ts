import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeFrame, FRAME, type ServerFrame } from '../../protocol/frame.ts';
import { operationsByName } from '../../protocol/operations/index.ts';
import { query } from '../support/inspect.ts';
import { type ProcessServer, prepareProcessServer, temporaryDirectory } from '../support/process-server.ts';
import { restClient } from '../support/rest.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { type Asked, answerOverRest } from '../support/transports.ts';

/** Whatever is secret and made up here contains this. */
const CANARY = 'zqsecretcanary';

let server: ProcessServer;
let directory: string;
let logFile: string;
let stop: () => Promise<void>;

beforeAll(async () => {
  directory = await temporaryDirectory();
  logFile = join(directory, 'log');
  // The log at its most talkative, whole.
  const wrapper = ['sh', '-c', 'log=$1; shift; exec "$@" 2>"$log"', 'sh', logFile];
  server = await prepareProcessServer({ dataDir: join(directory, 'data'), wrapper, flags: ['--log-level', 'trace', '--audit-flush-ms', '20'] });
  const run = await server.start();
  stop = async () => {
    run.kill('SIGTERM');
    expect(await run.ended).toEqual({ code: 0, signal: null });
  };
});

afterAll(async () => {
  await server?.dispose();
  await rm(directory, { recursive: true, force: true });
});

/** The parts of a token that open something: its signature, and all of it. */
const partsOf = (token: string): string[] => [token, token.split('.').at(-1) ?? token];

test('AUD7 tokens, tickets and secrets are in no answer, audit entry or log line', async () => {
  const secrets: string[] = [CANARY, 'process-secret-of-sufficient-length'];
  const answers: string[] = [];
  const token = await server.token('alice');
  const revoked = await server.token('bob');
  const forged = `${token.slice(0, token.lastIndexOf('.'))}.${CANARY}`;
  secrets.push(...partsOf(token), ...partsOf(revoked), forged);
  const rest = restClient(server.url, token);
  const keep = (answer: { readonly headers: Headers; readonly bytes: Uint8Array }): void => {
    answers.push(Buffer.from(answer.bytes).toString('latin1'), JSON.stringify([...answer.headers]));
  };

  for (const [operation, { example, duration, http }] of operationsByName) {
    if (http === undefined || duration === 'endless' || operation === 'session.ticket') continue;
    keep(await answerOverRest(rest, { operation, input: example.input as Asked['input'], body: new TextEncoder().encode(`a\n${operation}`) }));
    keep(await answerOverRest(restClient(server.url, forged), { operation, input: example.input as Asked['input'] }));
  }
  for (const path of ['/api/session', '/api/datasets/0', `/api/${forged}`, '/api/datasets/1/pointers/main']) {
    keep(await restClient(server.url, '').get(`${path}?token=${forged}`));
    keep(await restClient(server.url, '').get(`${path}?token=${token}&token=${forged}`));
    keep(await restClient(server.url, '').get(path, { authorization: `Basic ${CANARY}` }));
    keep(await restClient(server.url, '').get(path, { authorization: `Bearer ${CANARY} ${CANARY}` }));
  }
  const { ticket } = (await rest.post('/api/sessions/tickets', {})).body as { ticket: string };
  secrets.push(ticket);
  for (let count = 0; count < 2; count += 1) keep(await restClient(server.url, '').get(`/api/session?token=${ticket}`));

  const operator = await server.client('operator', { admin: true });
  const socket = await RpcClient.open(server.port, token);
  const victim = await RpcClient.open(server.port, revoked);
  socket.send([FRAME.refresh, forged]);
  await socket.frame((frame) => frame[0] === FRAME.error);
  socket.send([FRAME.refresh, revoked]);
  await socket.frame((frame: ServerFrame) => frame[0] === FRAME.error && frame[2].code === 'forbidden');
  await operator.session.revoke({ subject: 'bob' });
  await victim.closed;
  const refused = await RpcClient.connect(server.port);
  refused.send([FRAME.hello, 1, forged, 'test']);
  await refused.closed;
  answers.push(...[...socket.raw, ...victim.raw, ...refused.raw].map((frame) => Buffer.from(encodeFrame(frame as never)).toString('latin1')));
  await socket.close();

  const databaseUrl = await server.databaseUrl();
  secrets.push(new URL(databaseUrl).password);
  const entries = () => query<{ row: string }>(databaseUrl, 'SELECT a::text AS row FROM audit a');
  await expect.poll(async () => (await entries()).filter(({ row }) => row.includes('session.authenticate')).length).toBeGreaterThan(0);
  const audited = (await entries()).map(({ row }) => row).join('\n');
  await stop();
  const logged = await readFile(logFile, 'utf8');
  expect(answers.length).toBeGreaterThan(100);
  expect(logged).toContain('session.revoke');
  for (const [where, text] of Object.entries({ answers: answers.join('\n'), audited, logged })) {
    expect(
      secrets.filter((secret) => text.includes(secret)),
      where,
    ).toEqual([]);
  }
});

test('AUD7 SET3 a start that fails does not say the password of the database', async () => {
  const password = `${CANARY}password`;
  const failing = await prepareProcessServer({ environment: { COVISTA_DATABASE_URL: `postgresql://somebody:${password}@127.0.0.1:1/covista` } });
  const run = failing.launch();
  await expect(run.ready).rejects.toThrow();
  expect((await run.ended).code).toBe(1);
  expect(run.log()).not.toContain(CANARY);
  await failing.dispose();
});
