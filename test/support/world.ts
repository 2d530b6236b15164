import { expect } from 'vitest';
import type { ErrorCode } from '../../protocol/errors.ts';
import { type OperationName, operationsByName } from '../../protocol/operations/index.ts';
import { ANONYMOUS, Call } from '../../server/gateway/call.ts';
import type { Gateway } from '../../server/gateway/dispatch.ts';
import { present } from '../../server/shared/assert.ts';
import { csv } from './samples.ts';
import type { Asked, Transport } from './transports.ts';

/** What an example of the registry needs beside a dataset with two versions, the tag `v1.0` and the branch `experiment`. */
interface Needs {
  readonly body?: Uint8Array;
  readonly take?: number;
  /** Made by the example itself. */
  readonly without?: 'tag' | 'branch' | 'versions';
  /** An upload of the caller: begun, or complete. */
  readonly upload?: 'begun' | 'complete';
  /** A grant that the example takes back. */
  readonly grant?: true;
  /** The example cannot work in a world of one person, and has this error, once it is allowed at all. */
  readonly answers?: ErrorCode;
  /** The dataset's document has a snapshot. */
  readonly snapshot?: true;
  /** The dataset's document was opened before. */
  readonly document?: true;
  /** The newest version of main as an open table. */
  readonly table?: true;
  /** The dataset was deleted. */
  readonly deleted?: true;
  /** A view of the caller on it. */
  readonly view?: true;
  /** A schedule of the owner, which has run or not. */
  readonly schedule?: 'made' | 'run';
}

const ROWS = csv('Row ID,name,price', '1,Desk,99.5', '2,Chair,45.25', '3,Lamp,12');
const CHANGED = csv('Row ID,name,price', '1,Desk,89.5', '3,Lamp,12', '4,Shelf,150');

/** Every operation: one that is not in here fails the tests. */
export const NEEDS: Readonly<Record<OperationName, Needs>> = {
  'session.whoami': {},
  'session.revoke': {},
  'session.ticket': {},
  'session.revocations': {},
  'session.lift': {},
  'dataset.create': {},
  'dataset.list': {},
  'dataset.get': {},
  'dataset.update': {},
  'dataset.delete': {},
  'dataset.undelete': { deleted: true },
  'dataset.listDeleted': { deleted: true },
  'dataset.cleanup': {},
  'dataset.watch': { take: 5 },
  'upload.begin': {},
  'upload.write': { upload: 'begun', body: ROWS },
  'upload.status': { upload: 'begun' },
  'upload.commit': { upload: 'complete' },
  'upload.createDataset': { upload: 'complete' },
  'upload.abort': { upload: 'begun' },
  'version.commit': { without: 'versions', body: ROWS },
  'version.get': {},
  'version.schema': {},
  'version.preview': {},
  'version.statistics': {},
  'version.download': {},
  'version.history': {},
  'branch.create': { without: 'branch' },
  'branch.list': {},
  'branch.get': {},
  'branch.rename': {},
  'branch.reset': {},
  'branch.delete': {},
  'branch.protect': {},
  'branch.log': {},
  'tag.create': { without: 'tag' },
  'tag.list': {},
  'tag.get': {},
  'ref.resolve': {},
  'ref.pointer': {},
  'diff.schema': {},
  'diff.rows': {},
  'diff.stream': {},
  'document.connect': {},
  'document.attribution': {},
  'document.saveSnapshot': { document: true },
  'document.snapshots': {},
  'document.readSnapshot': { document: true, snapshot: true },
  'document.restoreSnapshot': { document: true, snapshot: true },
  'document.scopes': {},
  'document.publish': { answers: 'not_found' },
  'document.withdraw': { answers: 'not_found' },
  'table.open': {},
  'table.openUpload': { upload: 'complete' },
  'table.get': { table: true },
  'table.list': { table: true },
  'table.close': { table: true },
  'table.connect': { table: true },
  'view.create': { table: true },
  'view.data': { table: true, view: true },
  'view.export': { table: true, view: true },
  'view.close': { table: true, view: true },
  'schedule.create': {},
  'schedule.list': {},
  'schedule.get': { schedule: 'made' },
  'schedule.update': { schedule: 'made' },
  'schedule.pause': { schedule: 'made' },
  'schedule.resume': { schedule: 'made' },
  'schedule.run': { schedule: 'made' },
  'schedule.runs': { schedule: 'made' },
  'schedule.download': { schedule: 'run' },
  'schedule.delete': { schedule: 'made' },
  'schedule.times': {},
  'grant.create': {},
  'grant.list': {},
  'grant.revoke': { grant: true },
  'access.get': {},
  'access.explain': {},
  'access.preview': {},
  'audit.list': {},
  'audit.export': {},
  'audit.listAll': {},
  'audit.exportAll': {},
  'retention.get': {},
  'retention.set': {},
  'retention.run': {},
  'retention.restore': {},
  'admin.alerts': {},
  'admin.maintenance.status': {},
  'admin.maintenance.enter': {},
  'admin.maintenance.leave': {},
};

/** A dataset on which the example of an operation can be called. */
export interface World {
  readonly datasetId: number;
  readonly grantId: number | undefined;
  readonly tableId?: string | undefined;
  readonly schedule?: { readonly scheduleId: number; readonly runId: number | undefined } | undefined;
  readonly snapshotId?: number | undefined;
}

/** Prepares a dataset of the owner; `grants` are given on it. */
export async function prepareWorld(operation: OperationName, owner: Transport, grants: readonly object[] = []): Promise<World> {
  const { without, grant, table, snapshot } = NEEDS[operation];
  const run = (name: OperationName, input: Asked['input'], body?: Uint8Array): Promise<Record<string, never>> =>
    owner.run({ operation: name, input, body }) as Promise<Record<string, never>>;
  const { datasetId = 0 } = await run('dataset.create', exampleOf('dataset.create'));
  if (without !== 'versions') {
    await run('version.commit', { datasetId, branch: 'main', message: 'First upload' }, ROWS);
    await run('version.commit', { datasetId, branch: 'main', message: 'Second upload' }, CHANGED);
    if (without !== 'tag') await run('tag.create', { datasetId, name: 'v1.0', message: 'Release' });
    if (without !== 'branch') await run('branch.create', { datasetId, name: 'experiment' });
  }
  if (NEEDS[operation].document === true) await run('document.connect', { name: `dataset/${datasetId}` });
  for (const given of grants) await run('grant.create', { datasetId, ...given });
  const tableId = table && ((await run('table.open', { datasetId, ref: 'main' })) as { readonly tableId?: string }).tableId;
  if (NEEDS[operation].deleted === true) await run('dataset.delete', { datasetId });
  const schedule = await makeSchedule(operation, datasetId, owner);
  const label = { name: `dataset/${datasetId}`, label: 'Before' };
  const snapshotId = snapshot && ((await run('document.saveSnapshot', label)) as { readonly snapshotId?: number }).snapshotId;
  if (grant === undefined) return { datasetId, grantId: undefined, tableId, snapshotId, schedule };
  const { grantId } = await run('grant.create', { datasetId, principal: 'user:temporary', permission: 'read' });
  return { datasetId, grantId };
}

async function makeSchedule(operation: OperationName, datasetId: number, owner: Transport): Promise<World['schedule']> {
  const { schedule } = NEEDS[operation];
  if (schedule === undefined) return undefined;
  const input = { ...exampleOf('schedule.create'), datasetId };
  const { scheduleId } = (await owner.run({ operation: 'schedule.create', input })) as { scheduleId: number };
  if (schedule === 'made') return { scheduleId, runId: undefined };
  const { runId } = (await owner.run({ operation: 'schedule.run', input: { datasetId, scheduleId } })) as { runId: number };
  const stateOf = async (): Promise<string | undefined> => {
    const { items } = (await owner.run({ operation: 'schedule.runs', input: { datasetId, scheduleId } })) as { items: { state: string }[] };
    return items[0]?.state;
  };
  await expect.poll(stateOf, { timeout: 30_000 }).toBe('succeeded');
  return { scheduleId, runId };
}

function exampleOf(operation: OperationName): Asked['input'] {
  return present(operationsByName.get(operation), operation).example.input as Asked['input'];
}

/** Takes back what an operation does to the whole server, so that the next one finds it as it was. */
export async function takeBack(operation: OperationName, gateway: Gateway): Promise<void> {
  if (operation !== 'admin.maintenance.enter') return;
  const actor = { ...ANONYMOUS, subject: 'operator', serverAdmin: true };
  await gateway.dispatch(
    new Call({ operation: 'admin.maintenance.leave', input: {}, actor, address: '127.0.0.1', idempotencyKey: null, body: undefined }),
  );
}

/** The example of an operation, as the caller sends it to that world. */
export async function askedOf(operation: OperationName, world: World, caller: Transport): Promise<Asked> {
  const { body, take, upload, view } = NEEDS[operation];
  const input: Record<string, unknown> = { ...exampleOf(operation) };
  if ('datasetId' in input) input.datasetId = world.datasetId;
  if ('snapshotId' in input) input.snapshotId = present(world.snapshotId, 'a snapshot');
  if (operation.startsWith('document.') && 'name' in input) input.name = `dataset/${world.datasetId}`;
  if ('grantId' in input) input.grantId = present(world.grantId, 'a grant');
  if ('scheduleId' in input) Object.assign(input, { scheduleId: world.schedule?.scheduleId });
  if ('runId' in input) input.runId = world.schedule?.runId;
  if ('tableId' in input) input.tableId = present(world.tableId, 'a table');
  if (view === true) input.viewId = await makeView(present(world.tableId, 'a table'), caller, String(input.viewId));
  if (upload !== undefined) input.uploadId = await beginUpload(caller, upload === 'complete' ? ROWS : undefined);
  return { operation, input, body, take };
}

/** Who may not make one names one that does not exist. */
async function makeView(tableId: string, caller: Transport, otherwise: string): Promise<string> {
  const config = { columns: ['name', 'price'], sort: [['name', 'asc']] };
  const created = caller.run({ operation: 'view.create', input: { tableId, ...config } }) as Promise<{ viewId: string }>;
  return created.then(({ viewId }) => viewId).catch(() => otherwise);
}

async function beginUpload(caller: Transport, content: Uint8Array | undefined): Promise<string> {
  const begun = (await caller.run({ operation: 'upload.begin', input: { fileName: 'orders.csv' } })) as { uploadId: string };
  if (content !== undefined) await caller.run({ operation: 'upload.write', input: { uploadId: begun.uploadId, offset: 0 }, body: content });
  return begun.uploadId;
}
