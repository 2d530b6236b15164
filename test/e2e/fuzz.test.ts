import { afterAll, beforeAll, expect, test } from 'vitest';
import { errorFromBody } from '../../protocol/errors.ts';
import { FRAME } from '../../protocol/frame.ts';
import { damagedFrames, damagedRequests, eachAtOnce, exchange, httpRequests, residentBytes, sessionFrames } from '../support/fuzz.ts';
import { type ProcessServer, prepareProcessServer, type ServerProcess } from '../support/process-server.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { csv } from '../support/samples.ts';

/** Short by default; `FUZZ_FRAMES` and `FUZZ_REQUESTS` make it as long as wanted, `FUZZ_SEED` repeats a run. */
const FRAMES = Number(process.env.FUZZ_FRAMES ?? 1_500);
const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 400);
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
const TIMEOUT_MS = 60_000 + (FRAMES + REQUESTS) * 20;
/** How much a server may grow that remembers nothing of what it refused. */
const GROWTH_BYTES_MAX = 600 * 1024 * 1024;
const AT_ONCE = 8;
/** Many of them wait for more bytes, which never come. */
const REQUESTS_AT_ONCE = 64;
const CLOSE_CODES = [1000, 1001, 4400, 4401, 4402, 4403, 4413, 4426, 4450];

let server: ProcessServer;
let run: ServerProcess;
let token: string;
let datasetId: number;

beforeAll(async () => {
  const unlimited = [
    '--failed-tokens-per-address-per-minute',
    '100000000',
    '--uploads-open-per-subject-max',
    '100000',
    '--tickets-per-subject-max',
    '1000000',
  ];
  server = await prepareProcessServer({ flags: ['--log-level', 'error', ...unlimited] });
  run = await server.start();
  token = await server.token('alice');
  const alice = await server.client('alice');
  ({ datasetId } = await alice.dataset.create({ name: 'Fuzz', key: ['a'] }));
  await alice.version.commit({ datasetId: datasetId as never, branch: 'main' }, { body: csv('a,b', '1,x', '2,y') });
});

afterAll(async () => {
  await server?.dispose();
});

/** Fails with what the log says when the server has ended, and waits for an answer otherwise. */
async function assertAlive(): Promise<void> {
  const ended = run.ended.then((ending) => {
    throw new Error(`the server ended (${JSON.stringify(ending)}): ${run.log()}`);
  });
  // What was refused before may have used up what one address is allowed, for a moment.
  const ask = async (): Promise<unknown> => {
    const answer = await Promise.race([fetch(`${server.url}/api/session`, { headers: { authorization: `Bearer ${token}` } }), ended]);
    return answer.json();
  };
  await expect.poll(ask).toMatchObject({ subject: 'alice' });
  // Answers that came after their connection was given up are in the log only.
  expect(run.log()).not.toContain('met a fault');
}

/** A fault of the server is never what a caller's bytes deserve. */
function assertNoFault(client: RpcClient, bytes: Uint8Array): void {
  for (const frame of client.raw.splice(0)) {
    if (frame[0] !== FRAME.error) continue;
    const { code, message } = errorFromBody(frame[2]);
    if (code === 'internal') throw new Error(`${message} after ${Buffer.from(bytes).toString('hex')} (FUZZ_SEED=${SEED}): ${run.log()}`);
  }
}

/** Sends bytes and then a request: it is answered, or the connection is closed by the protocol, never by accident. */
async function probe(client: RpcClient, bytes: Uint8Array, number: number): Promise<boolean> {
  client.socket.send(bytes);
  client.request(number, 'session.whoami');
  const ended = await Promise.race([client.last(number).catch(() => undefined), client.closed]);
  assertNoFault(client, bytes);
  if (Array.isArray(ended)) return true;
  const { code } = await client.closed;
  expect(CLOSE_CODES, `after ${Buffer.from(bytes).toString('hex')}`).toContain(code);
  return false;
}

test(`RPC10 ${FRAMES} damaged frames meet no crash, no hang, no fault and no memory without bound (FUZZ_SEED=${SEED})`, {
  timeout: TIMEOUT_MS,
}, async () => {
  const before = await residentBytes(run.pid);
  await eachAtOnce(damagedFrames(sessionFrames(datasetId), { seed: SEED, count: FRAMES }), AT_ONCE, async (next) => {
    let client = await RpcClient.open(server.port, token);
    let number = 1_000_000;
    for (let bytes = next(); bytes !== undefined; bytes = next()) {
      number += 1;
      // A connection that has many requests under way answers the probe with rate_limited, and is given up.
      const goesOn = await probe(client, bytes, number);
      if (goesOn && number % 200 !== 0) continue;
      client.socket.terminate();
      client = await RpcClient.open(server.port, token);
    }
    client.socket.terminate();
  });
  await assertAlive();
  expect((await residentBytes(run.pid)) - before).toBeLessThan(GROWTH_BYTES_MAX);
});

test(`REST12 ${REQUESTS} damaged HTTP requests meet no crash, no hang, no fault and no memory without bound (FUZZ_SEED=${SEED})`, {
  timeout: TIMEOUT_MS,
}, async () => {
  const before = await residentBytes(run.pid);
  const statuses = new Map<string, number>();
  await eachAtOnce(damagedRequests(httpRequests(token, datasetId), { seed: SEED, count: REQUESTS }), REQUESTS_AT_ONCE, async (next) => {
    for (let bytes = next(); bytes !== undefined; bytes = next()) {
      const answer = await exchange(server.port, bytes, 500);
      const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(answer) ?? [];
      if (status === '500')
        throw new Error(`a fault after ${JSON.stringify(Buffer.from(bytes).toString('latin1'))} (FUZZ_SEED=${SEED}): ${answer} ${run.log()}`);
      if (status !== undefined) statuses.set(status, (statuses.get(status) ?? 0) + 1);
      else expect(answer, Buffer.from(bytes).toString('latin1')).toBe('');
    }
  });
  await assertAlive();
  // Most get as far as an operation: a server that refuses all of them at its door would prove nothing.
  const shares = Object.fromEntries([...statuses].map(([status, count]) => [status, count / REQUESTS]));
  const understood = ['200', '201', '206', '400', '404', '409'].reduce((sum, status) => sum + (shares[status] ?? 0), 0);
  expect(understood, JSON.stringify(shares)).toBeGreaterThan(0.3);
  expect((await residentBytes(run.pid)) - before).toBeLessThan(GROWTH_BYTES_MAX);
});
