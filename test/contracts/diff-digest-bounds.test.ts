import { once } from 'node:events';
import { readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import type { Limits } from '../../protocol/limits.ts';
import { type Content, type Scope, UNRESTRICTED } from '../../server/storage/content-store.ts';
import type { DifferOptions } from '../../server/storage/parquet/diff.ts';
import { DigestFiles } from '../../server/storage/parquet/digest-files.ts';
import { ask, calm, type DigestBench, openDigestBench, versionOf } from '../support/digest-bench.ts';
import { openWorkshop, type ParquetWorkshop } from '../support/parquet.ts';

const COLUMNS = [
  { name: 'id', type: 'BIGINT' },
  { name: 'v', type: 'VARCHAR' },
];
const ROWS = 1_000;
const COUNTS = { added: 0, removed: 0, changed: 10 };

let workshop: ParquetWorkshop;
/** Of each two, ten rows differ. */
let versions: readonly [Content, Content, Content, Content];

beforeAll(async () => {
  workshop = await openWorkshop();
  const version = (n: number): Promise<Content> =>
    versionOf(workshop, COLUMNS, `SELECT range AS id, 'v' || CASE WHEN range % 100 = 0 THEN -1 - ${n} ELSE range END AS v FROM range(${ROWS})`);
  versions = [await version(0), await version(1), await version(2), await version(3)];
});

afterAll(() => workshop.close());

afterEach(() => vi.restoreAllMocks());

const open = (overrides?: Partial<Limits>, others?: Partial<DifferOptions>): Promise<DigestBench> => openDigestBench(workshop, overrides, others);

/** Compares two, and waits until the digests of both are made or are not going to be. */
async function compare({ differ }: DigestBench, from: Content, to: Content) {
  const { counts } = await differ.diff({ content: from, scope: UNRESTRICTED }, { content: to, scope: UNRESTRICTED }, ['id'], calm);
  await differ.idle();
  return counts;
}

describe('digests are used', () => {
  test('DIFF14 by any diff whose files have them, from whichever diff', async () => {
    const [one, two, three] = versions;
    const bench = await open();
    expect(await compare(bench, one, two)).toEqual(COUNTS);
    expect(await compare(bench, two, three)).toEqual(COUNTS);
    expect(bench.counts).toMatchObject({ hits: 0, misses: 2 });
    expect(await compare(bench, three, one)).toEqual(COUNTS);
    expect(bench.counts).toMatchObject({ hits: 1, misses: 2 });
    expect(bench.differ.digestLoad()).toMatchObject({ pending: 0, bytes: expect.any(Number) });
    expect(bench.differ.digestLoad().bytes).toBeGreaterThan(3 * ROWS * 24);
  });

  test('DIFF14 by the first diff of versions that were prepared for it', async () => {
    const [one, two] = versions;
    const bench = await open({ diffDigestRowsMin: ROWS });
    for (const version of [one, two]) bench.differ.prepareDiff(version, ['id']);
    await bench.differ.idle();
    expect(await compare(bench, one, two)).toEqual(COUNTS);
    expect(bench.counts).toMatchObject({ hits: 1, misses: 0 });
    bench.differ.prepareDiff(two, ['v']);
    bench.differ.prepareDiff(two, ['absent']);
    bench.differ.prepareDiff(await versionOf(workshop, COLUMNS, "SELECT range AS id, 'v' AS v FROM range(999)"), ['id']);
    await bench.differ.idle();
    expect(await bench.files()).toHaveLength(3);
  });

  test('DIFF14 not where a scope hides rows or cells, by another key, and by no key', async () => {
    const [from, to] = versions;
    const bench = await open();
    await compare(bench, from, to);
    const rows = { sql: '"id" < 500', values: [], columns: [{ name: 'id', type: 'BIGINT' }] };
    const scopes: Scope[] = [
      { parts: [{ rows, mask: null }] },
      { parts: [{ rows: null, mask: { hidden: ['nothing'], columnIdsBelow: 100 } }] },
      { parts: [{ rows: null, mask: { hidden: ['v'], columnIdsBelow: 100 } }] },
    ];
    const changed: number[] = [];
    for (const scope of scopes) changed.push((await ask(bench.differ, { from: to, to: from, scope })).counts.changed);
    expect(changed).toEqual([5, 10, 0]);
    await ask(bench.differ, { from, to, key: null });
    await ask(bench.differ, { from, to, key: ['v', 'id'] });
    await bench.differ.idle();
    expect(bench.counts.hits).toBe(0);
    await compare(bench, to, from);
    expect(bench.counts.hits).toBe(1);
  });

  test.each(['INTERVAL', 'INTEGER[]', 'STRUCT(a INTEGER)', 'TIME WITH TIME ZONE'])('DIFF14 not where a column is %s', async (type) => {
    const columns = [...COLUMNS, { name: 'other', type }];
    const version = (n: number): Promise<Content> =>
      versionOf(workshop, columns, `SELECT range AS id, 'v${n}' AS v, NULL::${type} AS other FROM range(10)`);
    const bench = await open();
    const [from, to] = [await version(1), await version(2)];
    for (const _round of [1, 2]) expect(await compare(bench, from, to)).toEqual({ ...COUNTS, changed: 10 });
    expect(await bench.files()).toEqual([]);
  });

  test('DIFF14 not where a column has another type on the other side', async () => {
    const retyped = await versionOf(
      workshop,
      [{ name: 'id', type: 'INTEGER' }, COLUMNS[1] as (typeof COLUMNS)[number]],
      "SELECT range::INTEGER AS id, CASE WHEN range % 100 = 0 THEN 'w' ELSE 'v' || range END AS v FROM range(1000)",
    );
    const bench = await open();
    expect(await compare(bench, versions[0], retyped)).toEqual(COUNTS);
    expect(await bench.files()).toEqual([]);
  });

  test('DIFF14 keys that are NULL or occur twice are found beside them', async () => {
    const twice = await versionOf(
      workshop,
      COLUMNS,
      "SELECT range % 999 AS id, CASE WHEN range % 100 = 0 THEN 'w' ELSE 'v' || range END AS v FROM range(1000)",
    );
    const bench = await open();
    await compare(bench, versions[0], versions[1]);
    await expect(ask(bench.differ, { from: versions[0], to: twice })).rejects.toMatchObject({ code: 'unprocessable_data' });
  });
});

describe('digests are bounded', () => {
  test('DIFF14 in bytes: those used longest ago go', async () => {
    const [one, two, three, four] = versions;
    const unbounded = await open();
    await compare(unbounded, one, two);
    const diffDigestBytesMax = Math.floor(unbounded.differ.digestLoad().bytes * 1.4);
    const bench = await open({ diffDigestBytesMax });
    await compare(bench, one, two);
    await compare(bench, two, one);
    expect(bench.counts.hits).toBe(1);
    await compare(bench, three, four);
    expect(await bench.files()).toHaveLength(2);
    expect(bench.differ.digestLoad().bytes).toBeLessThanOrEqual(diffDigestBytesMax);
    await compare(bench, four, three);
    expect(bench.counts.hits).toBe(2);
  });

  test.each([
    { name: 'files', overrides: { diffDigestFilesMax: 1 } },
    { name: 'bytes', overrides: { diffDigestBytesMax: ROWS * 24 } },
    { name: 'waiting files', overrides: { diffDigestQueueMax: 1 } },
    { name: 'rows', overrides: { diffDigestRowsMin: 2 * ROWS + 1 } },
    { name: 'nothing', overrides: { diffDigestBytesMax: 0 } },
  ])('DIFF14 none is made where not all would be allowed ($name)', async ({ overrides }) => {
    const bench = await open(overrides);
    await compare(bench, versions[0], versions[1]);
    expect(await bench.files()).toEqual([]);
    expect(bench.differ.digestLoad()).toEqual({ pending: 0, bytes: 0 });
  });

  test('DIFF14 keys that are longer than was reckoned with have none', async () => {
    const warn = vi.spyOn(workshop.log, 'warn').mockImplementation(() => undefined);
    const columns = COLUMNS.map(({ name }) => ({ name, type: 'VARCHAR' }));
    const version = (v: string): Promise<Content> =>
      versionOf(workshop, columns, `SELECT repeat(md5(range::VARCHAR), 10) AS id, '${v}' AS v FROM range(100)`);
    const bench = await open({ diffDigestBytesMax: 10_000 });
    expect(await compare(bench, await version('a'), await version('b'))).toEqual({ ...COUNTS, changed: 100 });
    expect(await bench.files()).toEqual([]);
    expect(warn).toHaveBeenCalledTimes(2);
  });

  test('those that are read stay until they are released', async () => {
    const file = async (name: string) => {
      const path = join(workshop.directory, name);
      await writeFile(path, 'x');
      return { parts: [{ path, rows: 1 }], bytes: 1 };
    };
    const kept = new DigestFiles({ ...workshop.limits, diffDigestFilesMax: 1 }, workshop.log);
    const names = async (): Promise<string[]> => (await readdir(workshop.directory)).filter((name) => name.startsWith('digests-of-')).sort();
    kept.keep('one', await file('digests-of-one'));
    const held = kept.hold(['one']);
    kept.keep('two', await file('digests-of-two'));
    expect(kept.hold(['one'])).toBeUndefined();
    await kept.settled();
    expect(await names()).toEqual(['digests-of-one', 'digests-of-two']);
    held?.release();
    await kept.settled();
    expect(await names()).toEqual(['digests-of-two']);
    await kept.close();
    expect(await names()).toEqual([]);
  });
});

describe('without digests nothing is lost', () => {
  test('DIFF14 a making that fails halfway leaves nothing, and cells are compared', async () => {
    const { broker, log } = workshop;
    const large = await versionOf(workshop, COLUMNS, "SELECT range AS id, 'v' AS v FROM range(70000)");
    const run = broker.run.bind(broker);
    let parts = 0;
    vi.spyOn(broker, 'run').mockImplementation(async (kind, control, work) => {
      const result = await run(kind, control, work);
      if (kind === 'background' && ++parts === 2) throw new CovistaError('storage_full', 'there is no room left');
      return result;
    });
    const warn = vi.spyOn(log, 'warn').mockImplementation(() => undefined);
    const bench = await open({ diffDigestCellsMax: 1 });
    expect(await compare(bench, large, versions[0])).toEqual({ added: 0, removed: 69_000, changed: ROWS });
    expect(parts).toBe(3);
    expect(warn).toHaveBeenCalledTimes(1);
    // Those of the other file were made.
    expect(await bench.files()).toHaveLength(1);
    expect(await compare(bench, versions[0], large)).toEqual({ added: 69_000, removed: 0, changed: ROWS });
    expect(bench.counts).toMatchObject({ hits: 0, misses: 2 });
  });

  test('DIFF14 data that is removed meanwhile has none', async () => {
    const warn = vi.spyOn(workshop.log, 'warn');
    const lease = async (): Promise<never> => {
      throw new CovistaError('not_found', 'the data of this version was removed');
    };
    const bench = await open({}, { lease });
    expect(await compare(bench, versions[0], versions[1])).toEqual(COUNTS);
    expect(await bench.files()).toEqual([]);
    expect(warn).not.toHaveBeenCalled();
  });

  test('DIFF14 data is held while digests are made of it, and then let go of', async () => {
    const held: string[] = [];
    const lease = async (paths: readonly string[]) => {
      held.push(...paths);
      return () => held.splice(0);
    };
    const bench = await open({}, { lease });
    await compare(bench, versions[0], versions[1]);
    expect(await bench.files()).toHaveLength(2);
    expect(held).toEqual([]);
  });

  test('DIFF14 digests that are damaged are given up, and cells are compared', async () => {
    const warn = vi.spyOn(workshop.log, 'warn').mockImplementation(() => undefined);
    const bench = await open();
    await compare(bench, versions[0], versions[1]);
    for (const name of await bench.files()) await truncate(join(bench.directory, 'digests', name), 10);
    expect(await compare(bench, versions[1], versions[0])).toEqual(COUNTS);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(await compare(bench, versions[0], versions[1])).toEqual(COUNTS);
    expect(bench.counts).toMatchObject({ hits: 2, misses: 1 });
  });

  test('DIFF14 closing stops the making and leaves an empty directory', async () => {
    const { broker } = workshop;
    const started = Promise.withResolvers<void>();
    const run = broker.run.bind(broker);
    vi.spyOn(broker, 'run').mockImplementation((kind, control, work) =>
      run(kind, control, async (session) => {
        if (kind !== 'background') return work(session);
        started.resolve();
        await once(control.signal, 'abort');
        return work(session);
      }),
    );
    const bench = await open();
    await ask(bench.differ, { from: versions[0], to: versions[1] });
    await started.promise;
    expect(bench.differ.digestLoad().pending).toBe(2);
    await bench.differ.close();
    expect(await readdir(bench.directory)).toEqual([]);
    expect(bench.differ.digestLoad()).toEqual({ pending: 0, bytes: 0 });
  });

  test('DIFF14 a differ that starts removes the digests of one before', async () => {
    const [first] = [await open()];
    await compare(first, versions[0], versions[1]);
    expect(await first.files()).toHaveLength(2);
    await open({}, { directory: first.directory });
    expect(await readdir(first.directory)).toEqual([]);
  });
});

test('a scope that shows everything is no scope', async () => {
  const bench = await open();
  await compare(bench, versions[0], versions[1]);
  await ask(bench.differ, { from: versions[1], to: versions[0], scope: UNRESTRICTED });
  expect(bench.counts.hits).toBe(1);
});
