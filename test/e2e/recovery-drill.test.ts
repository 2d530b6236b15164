import { readdir, readFile, rename } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { LiveDocument } from '../../client/index.ts';
import { everything, onPlace, type Place, Places } from '../support/backups.ts';
import { query } from '../support/inspect.ts';
import { type ProcessServer, prepareProcessServer } from '../support/process-server.ts';
import type { Rest } from '../support/rest.ts';
import { csv } from '../support/samples.ts';
import { documentRows, readWhole, type WholeDocument, writeDocuments } from '../support/whole-documents.ts';

const places = new Places();
const servers: ProcessServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.dispose();
  await places.remove();
});

/** A server changes these by itself: documents are read whole instead, and tables are asked for. */
const MOVING: ReadonlySet<string> = new Set(['documents', 'document_states', 'document_batches', 'saved_tables']);
/** What is in these never changes, so that what is restored must be in the lost database as well. */
const LASTING = ['versions', 'data_files', 'events', 'branch_log'] as const;

async function serverAt(place: Place, flags: readonly string[] = []): Promise<ProcessServer> {
  const server = await prepareProcessServer({ dataDir: place.dataDir, flags, environment: { COVISTA_DATABASE_URL: place.databaseUrl } });
  servers.push(server);
  return server;
}

interface Settled {
  readonly datasetId: number;
  readonly tableIds: readonly string[];
  readonly documents: readonly WholeDocument[];
  readonly documentRows: readonly { readonly name: string }[];
}

/** A dataset with something of every kind, and tables that are open and saved. */
async function settle(server: ProcessServer, { databaseUrl }: Place): Promise<Settled> {
  const alice = await server.client('alice');
  const { datasetId } = await alice.dataset.create({ name: 'Drill', key: ['id'] });
  await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,region', '1,north', '2,south') });
  await alice.version.commit({ datasetId, branch: 'main', mode: 'append' }, { body: csv('id,region', '3,north') });
  await alice.tag.create({ datasetId, name: 'v1', ref: 'main' });
  await alice.grant.create({ datasetId, principal: 'user:bob', permission: 'read', rowFilter: "region = 'north'" });
  await alice.grant.create({ datasetId, principal: 'user:carol', permission: 'write' });
  const [bob, carol] = [await server.client('bob'), await server.client('carol')];
  const { readings } = await writeDocuments(datasetId, { alice, bob, carol });
  const open = { datasetId, ref: 'v1', engine: 'duckdb' } as const;
  const tables = [await alice.table.open(open, { perspective: false }), await bob.table.open(open, { perspective: false })];
  const saved = async () => (await query<{ id: string }>(databaseUrl, 'SELECT table_id AS id FROM saved_tables')).length;
  await expect.poll(saved, { timeout: 30_000 }).toBe(tables.length);
  // Some are a state with what came behind it, others a log alone.
  const states = async () => (await query(databaseUrl, 'SELECT document_id FROM document_states')).length;
  await expect.poll(states).toBeGreaterThan(0);
  for (const client of [alice, bob, carol]) client.close();
  const documents: WholeDocument[] = [];
  for (const reading of readings) documents.push(await readWhole(server, reading));
  return { datasetId, tableIds: tables.map(({ tableId }) => tableId).sort(), documents, documentRows: await documentRows(databaseUrl) };
}

interface Acknowledged {
  readonly versionId: number;
  readonly body: string;
  readonly atMs: number;
  /** When it was told that the name of a view after this version is kept; undefined: it never was. */
  namedAtMs?: number;
}

interface Busy {
  readonly rest: Rest;
  readonly datasetId: number;
  readonly document: LiveDocument;
  readonly viewId: string;
}

/** Commits one version after the other, and names a view after each, until the server is gone; what it was told of is in `told`. */
async function workOn({ rest, datasetId, document, viewId }: Busy, told: Acknowledged[]): Promise<void> {
  for (let index = 1; ; index += 1) {
    const body = Buffer.from(csv('id,note', `${index},commit ${index}`)).toString();
    const answer = await rest.send('POST', `/api/datasets/${datasetId}/branches/main/commit`, { body }).catch(() => undefined);
    if (answer === undefined) return;
    const { versionId } = answer.body as { versionId: number };
    const version: Acknowledged = { versionId, body, atMs: Date.now() };
    told.push(version);
    document.savedViews().rename(viewId, nameAfter(versionId));
    const isKept = await document.whenDurable().then(
      () => true,
      () => false,
    );
    if (!isKept) return;
    version.namedAtMs = Date.now();
  }
}

const nameAfter = (versionId: number): string => `After ${versionId}`;

async function startWork(server: ProcessServer, told: Acknowledged[]): Promise<Busy & { readonly ended: Promise<void>; stop(): void }> {
  const rest = await server.rest('alice');
  const client = await server.client('alice');
  const { datasetId } = await client.dataset.create({ name: 'Busy' });
  const document = await client.document.open(`dataset/${datasetId}`);
  const { id: viewId } = document.savedViews().create({ name: nameAfter(0), config: {} });
  await document.whenDurable();
  const busy = { rest, datasetId, document, viewId };
  return { ...busy, ended: workOn(busy, told), stop: () => client.close() };
}

async function newestMomentMs(directory: string): Promise<number> {
  const newest = (await readdir(join(directory, 'snapshots')))
    .filter((name) => name.endsWith('.json'))
    .sort()
    .at(-1);
  const text = newest === undefined ? '{}' : await readFile(join(directory, 'snapshots', newest), 'utf8');
  return Date.parse((JSON.parse(text) as { takenAt?: string }).takenAt ?? new Date(0).toISOString());
}

async function filesBelow(root: string): Promise<Map<string, Buffer>> {
  const entries = (await readdir(root, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name));
  return new Map(await Promise.all(paths.map(async (path) => [relative(root, path), await readFile(path)] as const)));
}

/** What may be lost with a machine, and how long it may be away. */
const LOSS_MS_MAX = 3_600_000;
const OUTAGE_MS_MAX = 4 * 3_600_000;

const misses = async (server: ProcessServer, cache: string): Promise<number> => {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(new RegExp(`^covista_cache_misses_total\\{cache="${cache}"\\} (\\d+)$`, 'm').exec(text)?.[1]);
};

test('BAK7 BAK9 BAK10 the drill: a machine is lost while people commit, and what the newest scheduled backup has is back elsewhere', {
  timeout: 240_000,
}, async ({ annotate }) => {
  const backups = await places.directory();
  const place = await places.empty();
  const periodMs = 3_000;
  const server = await serverAt(place, [
    '--backup-dir',
    backups,
    '--backup-period-ms',
    String(periodMs),
    '--saved-tables-period-ms',
    '200',
    '--document-log-batches-max',
    '3',
  ]);
  const running = await server.start();
  const settled = await settle(server, place);
  const before = (await everything(place.databaseUrl)) as Record<string, unknown[]>;
  const told: Acknowledged[] = [];
  const work = await startWork(server, told);
  const { datasetId: busyId } = work;
  const thirdAtMs = (): number => told[2]?.namedAtMs ?? Number.POSITIVE_INFINITY;
  await expect.poll(async () => (await newestMomentMs(backups)) > thirdAtMs(), { timeout: 90_000, interval: 100 }).toBe(true);

  // The machine is gone in the middle of it. Its files are put aside, to compare with.
  const lostAtMs = Date.now();
  running.kill('SIGKILL');
  await running.ended;
  work.stop();
  await work.ended;
  const momentMs = await newestMomentMs(backups);
  const aside = `${place.dataDir}-aside`;
  await rename(place.dataDir, aside);
  places.take(aside);
  const elsewhere = await places.empty();
  const restored = await onPlace(elsewhere, 'restore', backups);
  expect(restored.status).toBe(0);
  expect((await onPlace(elsewhere, 'verify')).out).toContain(' 0 problems');
  const rows = (await everything(elsewhere.databaseUrl)) as Record<string, unknown[]>;
  const again = await serverAt(elsewhere);
  await again.start();
  const tookMs = Date.now() - lostAtMs;

  // Every row of before the moment is there, and none that never was; every byte is as it was.
  for (const [name, found] of Object.entries(before)) {
    if (MOVING.has(name) || name === 'sequences') continue;
    const present = new Set(rows[name] as string[]);
    expect([name, (found as string[]).filter((row) => !present.has(row))]).toEqual([name, []]);
  }
  const last = (await everything(place.databaseUrl)) as Record<string, unknown[]>;
  for (const name of LASTING) expect(last[name]).toEqual(expect.arrayContaining(rows[name] as string[]));
  const [objects, originals] = [await filesBelow(join(elsewhere.dataDir, 'objects')), await filesBelow(join(aside, 'objects'))];
  expect(objects.size).toBeGreaterThan(0);
  for (const [path, content] of objects) expect([path, originals.get(path)?.equals(content)]).toEqual([path, true]);

  // Of what was told only that is lost which was told after the moment.
  const rest = await again.rest('alice');
  const lost: Acknowledged[] = [];
  for (const version of told) {
    const { status, bytes } = await rest.get(`/api/datasets/${busyId}/versions/${version.versionId}/download?format=original`);
    if (status === 200) expect(Buffer.from(bytes).toString()).toBe(version.body);
    else lost.push(version);
  }
  expect(lost.filter(({ atMs }) => atMs < momentMs)).toEqual([]);
  expect(told.length - lost.length).toBeGreaterThanOrEqual(3);
  expect(lostAtMs - momentMs).toBeLessThan(LOSS_MS_MAX);
  expect(tookMs).toBeLessThan(OUTAGE_MS_MAX);
  await annotate(
    `lost: ${lost.length} of ${told.length} commits, the newest backup being ${lostAtMs - momentMs} ms old with a period of ${periodMs} ms; ` +
      `serving again after ${tookMs} ms. ${restored.err.trim()}`,
  );

  // So with edits: the view is named after the last version of which it was told before the moment, or one that came after it.
  const named = await (await again.client('alice')).document.open(`dataset/${busyId}`);
  await named.whenSynced();
  const name = named.savedViews().get(work.viewId)?.name ?? '';
  const keptIds = told.filter(({ namedAtMs = Number.POSITIVE_INFINITY }) => namedAtMs < momentMs).map(({ versionId }) => versionId);
  expect(told.map(({ versionId }) => nameAfter(versionId)).filter((_, index) => index >= keptIds.length - 1)).toContain(name);

  // Documents are what they were, to the last item, with their authors and snapshots.
  const settledNames = new Set(settled.documentRows.map(({ name }) => name));
  expect((await documentRows(elsewhere.databaseUrl)).filter(({ name }) => settledNames.has(name))).toEqual(settled.documentRows);
  for (const document of settled.documents) expect(await readWhole(again, document)).toEqual(document);

  // Tables that were open are loaded before anybody asks, and their grants and versions are known.
  const operator = await again.client('operator', { admin: true });
  await expect
    .poll(async () => (await operator.table.list({})).items.map(({ tableId }) => tableId).sort(), { timeout: 40_000 })
    .toEqual(settled.tableIds);
  const asked = { grants: await misses(again, 'grants'), versions: await misses(again, 'versions'), tables: await misses(again, 'tables') };
  const bob = await again.client('bob');
  const { datasetId } = settled;
  const { tableId } = await bob.table.open({ datasetId, ref: '2', engine: 'duckdb' }, { perspective: false });
  expect(settled.tableIds).toContain(tableId);
  expect((await bob.version.schema({ datasetId, versionId: 2 })).schema.map(({ name }) => name)).toEqual(['id', 'region']);
  expect({ grants: await misses(again, 'grants'), versions: await misses(again, 'versions'), tables: await misses(again, 'tables') }).toEqual(asked);
  expect((await bob.version.preview({ datasetId, versionId: 2 })).rows).toEqual([
    { id: 1, region: 'north' },
    { id: 3, region: 'north' },
  ]);
});
