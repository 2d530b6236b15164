import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { Limits } from '../../protocol/limits.ts';
import { type Content, type Control, type DiffResult, UNRESTRICTED } from '../../server/storage/content-store.ts';
import { createDiffer, type Differ } from '../../server/storage/parquet/diff.ts';
import { contentOf, openWorkshop, type ParquetWorkshop } from '../support/parquet.ts';

const COLUMNS = [
  { name: 'id', type: 'BIGINT' },
  { name: 'v', type: 'VARCHAR' },
];

let workshop: ParquetWorkshop;
let versions: { readonly small: Content; readonly from: Content; readonly to: Content };
const closes: (() => Promise<void>)[] = [];

beforeAll(async () => {
  workshop = await openWorkshop();
  const version = async (select: string): Promise<Content> => contentOf(COLUMNS, [await workshop.file(select, COLUMNS)]);
  versions = {
    small: await version("SELECT range AS id, 'x' AS v FROM range(10)"),
    from: await version("SELECT range AS id, 'value ' || range % 1000 AS v FROM range(50000)"),
    to: await version("SELECT range AS id, 'value ' || CASE WHEN range % 100 = 0 THEN -1 ELSE range % 1000 END AS v FROM range(1, 50001)"),
  };
});

afterAll(() => workshop.close());

afterEach(async () => {
  vi.restoreAllMocks();
  for (const close of closes.splice(0)) await close();
});

async function open(overrides: Partial<Limits> = {}): Promise<{ differ: Differ; directory: string; computations: () => Promise<unknown>[] }> {
  const { broker, limits, log } = workshop;
  const directory = join(workshop.directory, `differ-${Math.random()}`);
  await mkdir(directory);
  const differ = await createDiffer({ broker, log, limits: { ...limits, ...overrides }, directory });
  closes.push(() => differ.close());
  const run = vi.spyOn(broker, 'run');
  const computations = (): Promise<unknown>[] =>
    run.mock.calls.flatMap(([kind], index) => (kind === 'bulk' ? [Promise.resolve(run.mock.results[index]?.value)] : []));
  return { differ, directory, computations };
}

const side = (content: Content) => ({ content, scope: UNRESTRICTED });

function compare(differ: Differ, control: Partial<Control> = {}, from = versions.from, to = versions.to): Promise<DiffResult> {
  return differ.diff(side(from), side(to), ['id'], { signal: new AbortController().signal, ...control });
}

const COUNTS = { added: 1, removed: 1, changed: 499 };
const control = { signal: new AbortController().signal };

test('DIFF10 equal requests share one computation, and later ones its result', async () => {
  const { differ, computations } = await open();
  const results = await Promise.all([compare(differ), compare(differ), compare(differ)]);
  for (const { counts } of results) expect(counts).toEqual(COUNTS);
  for (const result of results) result.close();
  const again = await compare(differ);
  expect(await again.page(0, 2, control)).toMatchObject([
    { kind: 'removed', key: { id: 0 } },
    { kind: 'changed', key: { id: 100 }, changed: ['v'] },
  ]);
  expect(computations()).toHaveLength(1);
});

test('DIFF10 a request that is cancelled leaves the computation to the others', async () => {
  const { differ, computations } = await open();
  const abort = new AbortController();
  const cancelled = compare(differ, { signal: abort.signal });
  const other = compare(differ, { onProgress: () => abort.abort() });
  await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
  expect((await other).counts).toEqual(COUNTS);
  expect(computations()).toHaveLength(1);
});

test('DIFF10 the computation stops when the last request is cancelled, and a new one starts over', async () => {
  const { differ, directory, computations } = await open();
  const [one, other] = [new AbortController(), new AbortController()];
  const requests = [compare(differ, { signal: one.signal, onProgress: () => one.abort() }), compare(differ, { signal: other.signal })];
  one.signal.addEventListener('abort', () => other.abort());
  for (const request of requests) await expect(request).rejects.toMatchObject({ code: 'cancelled' });
  await expect(computations()[0]).rejects.toMatchObject({ code: 'cancelled' });
  expect(await readdir(directory)).toEqual([]);
  expect((await compare(differ)).counts).toEqual(COUNTS);
  expect(computations()).toHaveLength(2);
});

test('DIFF10 a request that was cancelled before does not start anything', async () => {
  const { differ, computations } = await open();
  await expect(compare(differ, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
  expect(computations()).toHaveLength(0);
});

test('DIFF10 a result that gave way to another is computed again for a later page', async () => {
  const { differ, directory, computations } = await open({ diffResultsMax: 1 });
  const result = await compare(differ);
  const first = await result.page(0, 5, control);
  const other = await compare(differ, {}, versions.small, versions.from);
  expect(other.counts).toEqual({ added: 49_990, removed: 0, changed: 10 });
  expect(await result.page(0, 5, control)).toEqual(first);
  expect(computations()).toHaveLength(3);
  await expect.poll(() => readdir(directory)).toHaveLength(1);
});

test('DIFF10 a result larger than all may be together serves those who wait for it', async () => {
  const { differ, directory } = await open({ diffResultBytesMax: 1 });
  const result = await compare(differ);
  expect(result.counts).toEqual(COUNTS);
  expect(await result.page(498, 10, control)).toHaveLength(3);
  await expect.poll(() => readdir(directory)).toEqual([]);
});

test('DIFF10 a failed computation is not remembered', async () => {
  const { differ } = await open();
  const absent = { ...versions.to, files: versions.to.files.map((file) => ({ ...file, path: join(workshop.directory, 'absent.parquet') })) };
  await expect(compare(differ, {}, versions.from, absent)).rejects.toThrow();
  expect((await compare(differ)).counts).toEqual(COUNTS);
});

test('a closed differ has stopped what it computed and left no file', async () => {
  const { differ, directory } = await open();
  await compare(differ);
  expect(await readdir(directory)).toHaveLength(1);
  const started = Promise.withResolvers<void>();
  const running = compare(differ, { onProgress: () => started.resolve() }, versions.small, versions.to);
  const failed = expect(running).rejects.toMatchObject({ code: 'cancelled' });
  await started.promise;
  await differ.close();
  await failed;
  expect(await readdir(directory)).toEqual([]);
});

test('a diff says how far it is', async () => {
  const { differ } = await open({ duckdbMemoryBytes: 2 * 1024 * 1024 });
  const phases: string[] = [];
  await compare(differ, { onProgress: ({ phase, done, total }) => phases.push(`${phase} ${done}/${total}`) });
  expect(phases[0]).toBe('check keys 0/1');
  expect(phases.filter((phase) => phase.startsWith('compare')).length).toBeGreaterThan(2);
  expect(phases.at(-1)).toBe('sort 0/1');
});
