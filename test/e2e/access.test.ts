import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PERMISSIONS, type PermissionLevel } from '../../protocol/define.ts';
import type { CovistaError, ErrorCode } from '../../protocol/errors.ts';
import { type OperationName, operationsByName } from '../../protocol/operations/index.ts';
import { present } from '../../server/shared/assert.ts';
import { CALLERS, type Caller, GRANTS, grantsIn, grantsOf } from '../support/access-callers.ts';
import { query } from '../support/inspect.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { overRest, overSocket, type Transport } from '../support/transports.ts';
import { askedOf, NEEDS, prepareWorld, takeBack, type World } from '../support/world.ts';

/**
 * What each operation needs, written down a second time on purpose: an operation that is added, or whose declaration is
 * changed, fails here until somebody has decided who may call it.
 */
const NEEDED: Readonly<Record<OperationName, 'authenticated' | 'server-admin' | PermissionLevel>> = {
  'session.whoami': 'authenticated',
  'session.revoke': 'server-admin',
  'session.ticket': 'authenticated',
  'session.revocations': 'server-admin',
  'session.lift': 'server-admin',
  'dataset.create': 'authenticated',
  'dataset.list': 'authenticated',
  'dataset.get': 'read',
  'dataset.update': 'write',
  'dataset.delete': 'admin',
  'dataset.undelete': 'admin',
  'dataset.listDeleted': 'authenticated',
  'dataset.cleanup': 'admin',
  'dataset.watch': 'read',
  'upload.begin': 'authenticated',
  'upload.write': 'authenticated',
  'upload.status': 'authenticated',
  'upload.commit': 'write',
  'upload.createDataset': 'authenticated',
  'upload.abort': 'authenticated',
  'version.commit': 'write',
  'version.get': 'read',
  'version.schema': 'read',
  'version.preview': 'read',
  'version.statistics': 'read',
  'version.download': 'read',
  'version.history': 'read',
  'branch.create': 'write',
  'branch.list': 'read',
  'branch.get': 'read',
  'branch.rename': 'write',
  'branch.reset': 'write',
  'branch.delete': 'write',
  'branch.protect': 'admin',
  'branch.log': 'read',
  'tag.create': 'write',
  'tag.list': 'read',
  'tag.get': 'read',
  'ref.resolve': 'read',
  'ref.pointer': 'read',
  'diff.schema': 'read',
  'diff.rows': 'read',
  'diff.stream': 'read',
  'document.connect': 'read',
  'document.attribution': 'read',
  'document.saveSnapshot': 'write',
  'document.snapshots': 'read',
  'document.readSnapshot': 'read',
  'document.restoreSnapshot': 'write',
  'document.scopes': 'read',
  'document.publish': 'write',
  'document.withdraw': 'write',
  'table.open': 'read',
  'table.openUpload': 'authenticated',
  'table.get': 'read',
  'table.list': 'authenticated',
  'table.close': 'read',
  'table.connect': 'read',
  'view.create': 'read',
  'view.data': 'read',
  'view.export': 'read',
  'view.close': 'read',
  'schedule.create': 'read',
  'schedule.list': 'read',
  'schedule.get': 'read',
  'schedule.update': 'read',
  'schedule.pause': 'read',
  'schedule.resume': 'read',
  'schedule.run': 'read',
  'schedule.runs': 'read',
  'schedule.download': 'read',
  'schedule.delete': 'read',
  'schedule.times': 'read',
  'grant.create': 'admin',
  'grant.list': 'admin',
  'grant.revoke': 'admin',
  'access.get': 'read',
  'access.explain': 'admin',
  'access.preview': 'admin',
  'audit.list': 'admin',
  'audit.export': 'admin',
  'audit.listAll': 'server-admin',
  'audit.exportAll': 'server-admin',
  'retention.get': 'admin',
  'retention.set': 'admin',
  'retention.run': 'admin',
  'retention.restore': 'admin',
  'admin.alerts': 'server-admin',
  'admin.maintenance.status': 'server-admin',
  'admin.maintenance.enter': 'server-admin',
  'admin.maintenance.leave': 'server-admin',
};

const HOUR_MS = 3_600_000;

let server: TestServer;
let owner: Transport;
/** By caller: their transports. */
const transports = new Map<string, readonly [Transport, Transport]>();

beforeAll(async () => {
  server = await startTestServer(['--uploads-open-per-subject-max', '1000', '--views-per-subject-max', '1000'], {});
  owner = overRest(server.url, await server.token('owner'));
  for (const [name, { token }] of Object.entries(CALLERS)) {
    transports.set(name, [overRest(server.url, await server.token(token.subject, token)), overSocket(await server.client(token.subject, token))]);
  }
});

afterAll(async () => {
  await server?.stop();
});

const NAMES = [...operationsByName.keys()];

const isOfTable = (name: OperationName): boolean => 'tableId' in (present(operationsByName.get(name), name).example.input as object);

/** Operations on a schedule of the owner: admins may some, and others know nothing of it. */
const OF_SCHEDULE_ADMINS: ReadonlySet<OperationName> = new Set([
  'schedule.get',
  'schedule.pause',
  'schedule.runs',
  'schedule.download',
  'schedule.delete',
]);
const OF_SCHEDULE_OWNER: ReadonlySet<OperationName> = new Set(['schedule.update', 'schedule.resume', 'schedule.run']);
const isOfSchedule = (name: OperationName): boolean => OF_SCHEDULE_ADMINS.has(name) || OF_SCHEDULE_OWNER.has(name);

/** What becomes of a call: undefined when it is allowed. */
function expected(name: OperationName, { level, token, isRestricted }: Caller): ErrorCode | undefined {
  const needed = NEEDED[name];
  if (needed === 'server-admin') return token.admin === true ? undefined : 'forbidden';
  if (needed === 'authenticated') return undefined;
  if (level === undefined) return 'not_found';
  if (OF_SCHEDULE_ADMINS.has(name)) return level === 'admin' ? undefined : 'not_found';
  if (OF_SCHEDULE_OWNER.has(name)) return level === 'admin' ? 'forbidden' : 'not_found';
  // A schedule goes by grants, and being an admin of the server is none.
  if (name === 'schedule.create' && token.admin === true) return 'forbidden';
  // The table of who sees everything does not follow from what they see, and their document is another one.
  if (isRestricted && (isOfTable(name) || name === 'document.readSnapshot')) return 'not_found';
  return PERMISSIONS.indexOf(level) < PERMISSIONS.indexOf(needed) ? 'forbidden' : undefined;
}

test('every operation has an expectation that its declaration agrees with', () => {
  expect(Object.fromEntries([...operationsByName].map(([name, { permission }]) => [name, permission.action]))).toEqual(NEEDED);
});

describe.each(NAMES)('%s', (name) => {
  const { kind } = present(operationsByName.get(name), name);

  test('is refused to who has no accepted token', async () => {
    const world = await prepareWorld(name, owner);
    const expired = await server.token('owner', { ttlMs: -HOUR_MS });
    const forged = `${(await server.token('owner')).slice(0, -6)}AAAAAA`;
    for (const token of ['', expired, forged, 'nonsense']) {
      const anybody = overRest(server.url, token);
      await expect(anybody.run(await askedOf(name, world, owner))).rejects.toMatchObject({ code: 'unauthenticated' });
    }
  });

  test('is allowed to exactly those whose grants reach', async () => {
    const shared = await prepareWorld(name, owner, grantsIn(name));
    const before = await traces(shared);
    for (const [index, [who, caller]] of Object.entries(CALLERS).entries()) {
      const code = expected(name, caller);
      const works = code === undefined && kind === 'command';
      const ways = present(transports.get(who), who);
      // A command that works may be called once in a world; callers take turns with the transports for it.
      for (const transport of works ? [index % 2 === 0 ? ways[0] : ways[1]] : ways) {
        const world = works ? await prepareWorld(name, owner, grantsIn(name, grantsOf(caller))) : shared;
        const label = `${who} over ${transport.name}`;
        const outcome = await transport.run(await askedOf(name, world, transport)).then(
          () => undefined,
          (error: CovistaError) => error,
        );
        expect(outcome?.code, `${label}: ${outcome?.message}`).toBe(code ?? NEEDS[name].answers);
        if (works) await takeBack(name, server.gateway);
        const absent =
          caller.isRestricted || (isOfSchedule(name) && caller.level !== undefined) ? 'there is no such ' : `there is no dataset ${world.datasetId}`;
        if (code === 'not_found') expect(outcome?.message, label).toContain(absent);
      }
    }
    expect(await traces(shared)).toEqual(before);
  });
});

/** Those that are audited with their change; what is audited as a use may belong to the preparation, and comes later. */
const COMMANDS = NAMES.filter((name) => operationsByName.get(name)?.kind === 'command' && operationsByName.get(name)?.audit === undefined);

/** What a refused command must not change. */
function traces({ datasetId }: World): Promise<unknown[]> {
  return query(
    server.databaseUrl,
    `SELECT updated_at, last_event, next_version_id,
       (SELECT count(*) FROM audit WHERE dataset_id = $1 AND outcome = 'ok' AND operation = ANY ($2)) AS audit
     FROM datasets WHERE dataset_id = $1`,
    [datasetId, COMMANDS],
  );
}

describe('a dataset that one may not know of', () => {
  test('cannot be told from one that does not exist', async () => {
    const { datasetId } = await prepareWorld('dataset.get', owner);
    const stranger = await server.rest('stranger');
    const [hidden, absent] = await Promise.all([stranger.get(`/api/datasets/${datasetId}`), stranger.get('/api/datasets/2147483647')]);
    expect(hidden.status).toBe(404);
    const shape = ({ body }: { body: { error: { message: string; code: string } } }) => ({
      ...body.error,
      message: body.error.message.replace(/\d+/, 'N'),
      details: {},
    });
    expect(shape(hidden)).toEqual(shape(absent));
    expect([...hidden.headers.keys()].sort()).toEqual([...absent.headers.keys()].sort());
  });

  test('is in no list', async () => {
    const { datasetId } = await prepareWorld('dataset.get', owner, GRANTS);
    const idsOf = async (who: string): Promise<number[]> => {
      const [transport] = present(transports.get(who), who);
      const { items } = (await transport.run({ operation: 'dataset.list', input: { limit: 1000 } })) as { items: { datasetId: number }[] };
      return items.map((item) => item.datasetId);
    };
    for (const [who, { level }] of Object.entries(CALLERS)) {
      const ids = await idsOf(who);
      if (level === undefined) expect(ids, who).not.toContain(datasetId);
      else expect(ids, who).toContain(datasetId);
    }
  });

  test('gives nothing away by the upload or the version that a call names', async () => {
    const { datasetId } = await prepareWorld('dataset.get', owner);
    const [rest] = present(transports.get('a stranger'), 'the stranger');
    const foreign = (await owner.run({ operation: 'upload.begin', input: {} })) as { uploadId: string };
    for (const operation of ['upload.status', 'upload.abort'] as const) {
      await expect(rest.run({ operation, input: { uploadId: foreign.uploadId } })).rejects.toMatchObject({ code: 'not_found' });
    }
    await expect(
      rest.run({ operation: 'upload.write', input: { uploadId: foreign.uploadId, offset: 0 }, body: new Uint8Array(3) }),
    ).rejects.toMatchObject({
      code: 'not_found',
    });
    const version = rest.run({ operation: 'version.get', input: { datasetId, versionId: 99 } });
    await expect(version).rejects.toMatchObject({ code: 'not_found', message: `there is no dataset ${datasetId}` });
  });
});

describe('a grant', () => {
  test('ends and begins by the clock, without anybody asking again', async () => {
    const { datasetId } = await prepareWorld('dataset.get', owner);
    const guest = overRest(server.url, await server.token('guest'));
    const get = () => guest.run({ operation: 'dataset.get', input: { datasetId } });
    const codeOf = ({ code }: CovistaError): string => code;
    const grant = async (during: { readonly validFrom?: string; readonly validUntil?: string }): Promise<number> => {
      const input = { datasetId, principal: 'user:guest', permission: 'read', ...during };
      return ((await owner.run({ operation: 'grant.create', input })) as { grantId: number }).grantId;
    };
    const validFrom = new Date(Date.now() + 500).toISOString();
    const grantId = await grant({ validFrom });
    await expect.poll(() => get().then(() => Date.now() >= Date.parse(validFrom), codeOf)).toBe(true);
    await owner.run({ operation: 'grant.revoke', input: { datasetId, grantId } });
    const validUntil = new Date(Date.now() + 1_000).toISOString();
    await grant({ validUntil });
    await expect.poll(() => get().then(() => Date.now() < Date.parse(validUntil), codeOf)).toBe('not_found');
  });

  test('counts at once when it is given or taken', async () => {
    const { datasetId } = await prepareWorld('dataset.get', owner);
    const guest = overSocket(await server.client('guest'));
    const get = () => guest.run({ operation: 'dataset.get', input: { datasetId } });
    await expect(get()).rejects.toMatchObject({ code: 'not_found' });
    const given = (await owner.run({ operation: 'grant.create', input: { datasetId, principal: 'user:guest', permission: 'read' } })) as {
      grantId: number;
    };
    await get();
    await owner.run({ operation: 'grant.revoke', input: { datasetId, grantId: given.grantId } });
    await expect(get()).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a token that has expired does not open a socket', async () => {
    const client = await server.client('reader', { ttlMs: -HOUR_MS });
    await expect(client.ready()).rejects.toMatchObject({ code: 'unauthenticated' });
  });
});
