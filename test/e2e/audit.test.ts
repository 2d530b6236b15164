import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CovistaError } from '../../protocol/errors.ts';
import { FRAME } from '../../protocol/frame.ts';
import { type OperationName, operationsByName } from '../../protocol/operations/index.ts';
import { AUTHENTICATE } from '../../server/gateway/call-audit.ts';
import { present } from '../../server/shared/assert.ts';
import { query } from '../support/inspect.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { overRest, overSocket, type Transport } from '../support/transports.ts';
import { askedOf, NEEDS, prepareWorld } from '../support/world.ts';

interface AuditRow {
  readonly sequence: string;
  readonly actor: string;
  readonly operation: string;
  readonly dataset_id: number | null;
  readonly version_id: number | null;
  readonly request_id: string;
  readonly address: string;
  readonly outcome: string;
  readonly detail: Record<string, unknown>;
  readonly count: number;
}

let server: TestServer;
let owner: Transport;

beforeAll(async () => {
  server = await startTestServer([
    '--audit-flush-ms',
    '20',
    '--audit-period-ms',
    '3600000',
    '--views-per-subject-max',
    '1000',
    '--uploads-open-per-subject-max',
    '1000',
    '--step-up-amr',
    'otp',
  ]);
  owner = overRest(server.url, await server.token('owner', { claims: { amr: ['otp'] } }));
});

afterAll(async () => {
  await server?.stop();
});

let people = 0;
function newPerson(): string {
  people += 1;
  return `person-${people}`;
}

const rowsOf = (condition: string, ...values: unknown[]): Promise<AuditRow[]> =>
  query<AuditRow>(server.databaseUrl, `SELECT * FROM audit WHERE ${condition} ORDER BY sequence`, values);

const rowsOfActor = (actor: string): Promise<AuditRow[]> => rowsOf('actor = $1', actor);

async function untilRows(count: number, condition: string, ...values: unknown[]): Promise<AuditRow[]> {
  await expect.poll(async () => (await rowsOf(condition, ...values)).length).toBeGreaterThanOrEqual(count);
  return rowsOf(condition, ...values);
}

/** Resolves when everything that was recorded before has been written. */
async function flushed(): Promise<void> {
  const marker = newPerson();
  await expect(
    overRest(server.url, await server.token(marker)).run({ operation: 'dataset.get', input: { datasetId: 2_000_000_000 } }),
  ).rejects.toThrow();
  await untilRows(1, 'actor = $1', marker);
}

const isAudited = (name: OperationName): boolean => {
  const { kind, audit } = present(operationsByName.get(name), name);
  return kind === 'command' || audit === 'access';
};

const NAMES = [...operationsByName.keys()];

describe.each(NAMES)('%s', (name) => {
  test('AUD1 leaves one entry when it is a command or accounted for, and none otherwise', async () => {
    // By turns, since each needs a world of its own.
    for (const over of [NAMES.indexOf(name) % 2 === 0 ? 'REST' : 'socket']) {
      const actor = newPerson();
      const identity = { admin: operationsByName.get(name)?.permission.action === 'server-admin', claims: { amr: ['otp'] } };
      const caller = over === 'REST' ? overRest(server.url, await server.token(actor, identity)) : overSocket(await server.client(actor, identity));
      const world = await prepareWorld(name, caller);
      const asked = await askedOf(name, world, caller);
      await flushed();
      const before = (await rowsOfActor(actor)).length;
      const { answers = 'ok' } = NEEDS[name];
      const outcomeOf = caller.run(asked).then(
        () => 'ok',
        (error: CovistaError) => error.code,
      );
      expect(await outcomeOf).toBe(answers);
      // Who takes the server out of service keeps it there for all that follows.
      const other = await server.token(newPerson(), { admin: true, claims: { amr: ['otp'] } });
      if (name === 'admin.maintenance.enter') await overRest(server.url, other).run({ operation: 'admin.maintenance.leave', input: {} });
      await flushed();
      // A run that was asked for leaves an entry of its own when it ends, whenever that is.
      const rows = (await rowsOfActor(actor)).slice(before).filter(({ request_id }) => !request_id.startsWith('run-'));
      expect(rows.map(({ operation, outcome }) => [operation, outcome])).toEqual(isAudited(name) ? [[name, answers]] : []);
      for (const row of rows) {
        expect(row).toMatchObject({ address: '127.0.0.1', request_id: expect.stringMatching(/^[0-9a-f]{8}-\w+$/), count: 1 });
        if ('datasetId' in asked.input) expect(row.dataset_id).toBe(world.datasetId);
        if (asked.input.versionId !== undefined) expect(row.version_id).toBe(asked.input.versionId);
      }
    }
  });

  test('AUD2 leaves an entry when it is refused for want of a token or a permission', async () => {
    const { permission, http } = present(operationsByName.get(name), name);
    const world = await prepareWorld(name, owner);
    const stranger = newPerson();
    await expect(overRest(server.url, '').run(await askedOf(name, world, owner))).rejects.toMatchObject({ code: 'unauthenticated' });
    // On a socket the token comes before what is asked for.
    await untilRows(1, `actor = '' AND operation = $1 AND outcome = 'unauthenticated'`, http === undefined ? AUTHENTICATE : name);
    if (permission.action === 'authenticated') return;
    const code = permission.action === 'server-admin' ? 'forbidden' : 'not_found';
    for (const caller of [overRest(server.url, await server.token(stranger)), overSocket(await server.client(stranger))]) {
      await expect(caller.run(await askedOf(name, world, caller))).rejects.toMatchObject({ code });
    }
    await flushed();
    const rows = (await rowsOfActor(stranger)).filter(({ outcome, operation }) => outcome !== 'ok' && operation === name);
    expect(new Set(rows.map(({ operation, outcome, dataset_id }) => `${operation} ${outcome} ${dataset_id}`))).toEqual(
      new Set([`${name} ${code} ${permission.action === 'server-admin' ? null : world.datasetId}`]),
    );
  });
});

describe('refusals', () => {
  test('AUD2 AUD7 a refused token has an entry, in a header, a URL, a hello and a raw socket, and the token is not in it', async () => {
    const other = await startTestServer(['--audit-flush-ms', '20', '--audit-period-ms', '20']);
    const secret = `${(await other.token('eve')).slice(0, -8)}CANARYXX`;
    const port = Number(new URL(other.url).port);
    const entries = async (): Promise<number> => {
      const found = await query<{ row: string; count: number; operation: string }>(
        other.databaseUrl,
        'SELECT a::text AS row, count, operation FROM audit a',
      );
      expect(found.filter(({ row }) => row.includes('CANARYXX'))).toEqual([]);
      return found.filter(({ operation }) => operation === 'session.authenticate').reduce((sum, { count }) => sum + count, 0);
    };
    const attempts: readonly (() => Promise<unknown>)[] = [
      () => fetch(`${other.url}/api/session`, { headers: { authorization: `Bearer ${secret}` } }),
      () => fetch(`${other.url}/api/session?token=${secret}`),
      async () => {
        const socket = await RpcClient.connect(port);
        socket.send([FRAME.hello, 1, secret, 'test']);
        expect((await socket.closed).code).toBe(4401);
      },
      async () => {
        const socket = new WebSocket(`ws://127.0.0.1:${port}/documents/dataset/1?token=${secret}`);
        await new Promise((resolve) => socket.addEventListener('close', resolve));
      },
    ];
    for (const [index, attempt] of attempts.entries()) {
      await attempt();
      await expect.poll(entries).toBe(index + 1);
    }
    await other.stop();
  });

  test('AUD2 a missing second factor, a permission that is too low, and a handler that refuses have entries', async () => {
    const { datasetId } = await prepareWorld('dataset.get', owner);
    const reader = newPerson();
    await owner.run({ operation: 'grant.create', input: { datasetId, principal: `user:${reader}`, permission: 'read', rowFilter: 'price > 50' } });
    const caller = overSocket(await server.client(reader));
    await expect(caller.run({ operation: 'branch.create', input: { datasetId, name: 'x' } })).rejects.toMatchObject({ code: 'forbidden' });
    const original = { operation: 'version.download', input: { datasetId, versionId: 1, format: 'original' } } as const;
    await expect(caller.run(original)).rejects.toMatchObject({ code: 'forbidden' });
    const onceOnly = overRest(server.url, await server.token('owner'));
    await expect(onceOnly.run({ operation: 'grant.list', input: { datasetId } })).resolves.toBeDefined();
    await expect(onceOnly.run({ operation: 'grant.revoke', input: { datasetId, grantId: 1 } })).rejects.toMatchObject({ code: 'step_up_required' });
    await flushed();
    const rows = await rowsOf(`dataset_id = $1 AND outcome <> 'ok'`, datasetId);
    expect(rows.map(({ actor, operation, version_id, outcome }) => [actor, operation, version_id, outcome])).toEqual(
      expect.arrayContaining([
        [reader, 'branch.create', null, 'forbidden'],
        [reader, 'version.download', 1, 'forbidden'],
        ['owner', 'grant.revoke', null, 'step_up_required'],
      ]),
    );
    expect(rows).toHaveLength(3);
  });

  test('AUD2 what ends because the permission did has an entry, streams and channels alike', async () => {
    const { datasetId } = await prepareWorld('dataset.get', owner);
    const reader = newPerson();
    const grant = { datasetId, principal: `user:${reader}`, permission: 'read' };
    const { grantId } = (await owner.run({ operation: 'grant.create', input: grant })) as { grantId: number };
    const socket = await RpcClient.open(Number(new URL(server.url).port), await server.token(reader));
    socket.request(1, 'dataset.watch', { datasetId });
    socket.request(2, 'document.connect', { name: `dataset/${datasetId}` });
    // Both have begun: what is refused before that is a query that finds nothing.
    await Promise.all([FRAME.item, FRAME.response].map((kind, index) => socket.frame((frame) => frame[0] === kind && frame[1] === index + 1)));
    await owner.run({ operation: 'grant.revoke', input: { datasetId, grantId } });
    expect([await socket.errorCode(1), await socket.errorCode(2)]).toEqual(['not_found', 'not_found']);
    await socket.close();
    await flushed();
    const ended = (await rowsOfActor(reader)).map(({ operation, outcome, dataset_id, count }) => [operation, outcome, dataset_id, count]);
    expect(ended.sort()).toEqual([
      ['dataset.watch', 'not_found', datasetId, 1],
      ['document.connect', 'not_found', datasetId, 1],
    ]);
  });

  test('AUD2 a command that fails has an entry with the code; a query that does not find something has none', async () => {
    const { datasetId } = await prepareWorld('dataset.get', owner);
    await expect(owner.run({ operation: 'branch.create', input: { datasetId, name: 'main' } })).rejects.toMatchObject({ code: 'conflict' });
    await expect(owner.run({ operation: 'branch.create', input: { datasetId, name: '~' } })).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(owner.run({ operation: 'branch.get', input: { datasetId, branch: 'nowhere' } })).rejects.toMatchObject({ code: 'not_found' });
    await flushed();
    const rows = await rowsOf(`dataset_id = $1 AND outcome <> 'ok'`, datasetId);
    expect(rows.map(({ operation, outcome }) => [operation, outcome])).toEqual([
      ['branch.create', 'conflict'],
      ['branch.create', 'invalid_input'],
    ]);
  });

  test('AUD2 AUD7 what a caller wrote as the name of an operation or a dataset is not repeated', async () => {
    const actor = newPerson();
    const socket = await RpcClient.open(Number(new URL(server.url).port), await server.token(actor));
    socket.request(1, 'CANARY.operation', { datasetId: 'CANARY' });
    socket.request(2, 'branch.delete', { datasetId: 'CANARY', branch: 'CANARY' });
    await Promise.all([socket.last(1), socket.last(2)]);
    await socket.close();
    await flushed();
    expect((await rowsOfActor(actor)).map(({ operation, outcome }) => [operation, outcome])).toEqual([['branch.delete', 'invalid_input']]);
    expect(JSON.stringify(await rowsOfActor(actor))).not.toContain('CANARY');
  });
});

describe('reading', () => {
  test('AUD5 filters by actor, operation, outcome and time, in pages', async () => {
    const { datasetId } = await prepareWorld('dataset.get', owner);
    const stranger = overRest(server.url, await server.token('a-stranger'));
    for (let count = 0; count < 3; count += 1) await expect(stranger.run({ operation: 'dataset.get', input: { datasetId } })).rejects.toThrow();
    await flushed();
    const list = async (input: object) =>
      (await owner.run({ operation: 'audit.list', input: { datasetId, ...input } })) as { items: AuditRow[]; next?: string };
    const operationsOf = async (input: object): Promise<string[]> => (await list(input)).items.map(({ operation }) => operation);
    expect(await operationsOf({ actor: 'a-stranger', outcome: 'not_found' })).toEqual(['dataset.get']);
    expect(await operationsOf({ outcome: 'error' })).toEqual(['dataset.get']);
    expect(await operationsOf({ operation: 'version.commit', outcome: 'ok' })).toEqual(['version.commit', 'version.commit']);
    expect(await operationsOf({ actor: `' OR 1=1 --` })).toEqual([]);
    const [{ at } = { at: '' }] = (await list({ operation: 'branch.create' })).items as unknown as { at: string }[];
    expect(await operationsOf({ from: at, outcome: 'ok' })).toEqual(['branch.create']);
    expect(await operationsOf({ until: at, limit: 1 })).toEqual(['tag.create']);
    const first = await list({ limit: 2 });
    const second = await list({ limit: 2, cursor: first.next });
    expect([...first.items, ...second.items]).toEqual((await list({ limit: 4 })).items);
  });

  test('AUD5 server admins read the entries of all datasets, deleted ones included', async () => {
    const { datasetId } = await prepareWorld('dataset.get', owner);
    await owner.run({ operation: 'dataset.delete', input: { datasetId } });
    await expect(owner.run({ operation: 'audit.list', input: { datasetId } })).rejects.toMatchObject({ code: 'not_found' });
    const operator = overRest(server.url, await server.token('operator', { admin: true }));
    const { items } = (await operator.run({ operation: 'audit.listAll', input: { actor: 'owner', operation: 'dataset.delete' } })) as {
      items: { datasetId: number }[];
    };
    expect(items.map((item) => item.datasetId)).toContain(datasetId);
  });

  test('AUD6 an export is NDJSON of every entry, newest first, and leaves one itself', async () => {
    const { datasetId } = await prepareWorld('dataset.get', owner);
    await query(
      server.databaseUrl,
      `INSERT INTO audit (at, actor, operation, dataset_id, request_id, address, outcome, detail)
       SELECT now(), 'filler', 'dataset.update', $1, n::text, '', 'ok', '{}' FROM generate_series(1, 2500) n`,
      [datasetId],
    );
    const response = await fetch(`${server.url}/api/datasets/${datasetId}/audit/export`, {
      headers: { authorization: `Bearer ${await server.token('owner')}` },
    });
    expect(response.headers.get('content-type')).toContain('application/x-ndjson');
    const entries = (await response.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { sequence: number; requestId: string });
    expect(entries).toHaveLength(2_505);
    expect(entries.map(({ sequence }) => sequence)).toEqual([...entries.map(({ sequence }) => sequence)].sort((one, other) => other - one));
    expect(new Set(entries.map(({ requestId }) => requestId)).size).toBe(2_505);
    await untilRows(1, `dataset_id = $1 AND operation = 'audit.export'`, datasetId);
  });
});

test('AUD8 a server that stops has written what was refused last', async () => {
  const slow = await startTestServer(['--audit-flush-ms', '3600000']);
  const stranger = overRest(slow.url, await slow.token('late'));
  for (let count = 0; count < 7; count += 1) await expect(stranger.run({ operation: 'dataset.get', input: { datasetId: 5 } })).rejects.toThrow();
  const counted = () => query<{ count: number }>(slow.databaseUrl, `SELECT count FROM audit WHERE actor = 'late'`);
  expect(await counted()).toEqual([]);
  await slow.restart();
  expect(await counted()).toEqual([{ count: 7 }]);
  await slow.stop();
});
