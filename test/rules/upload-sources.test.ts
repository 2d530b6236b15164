import { expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import type { Actor } from '../../server/services/access/actor.ts';
import type { EngineTable } from '../../server/services/tables/engine.ts';
import { Tables } from '../../server/services/tables/tables.ts';
import { createUploadSources } from '../../server/services/tables/upload-sources.ts';
import { CacheCounts } from '../../server/shared/cache-counts.ts';
import { fakeTable } from '../support/fake-table.ts';

const actor = { subject: 'alice' } as Actor;
const calm = { signal: new AbortController().signal };

interface Choice {
  readonly ingest?: (signal: AbortSignal) => Promise<void>;
  readonly uploadSourcesMax?: number;
  readonly used?: ReadonlySet<unknown>;
}

/** Uploads of Alice that last until they are told to end, and what was done with what was made of them. */
function prepare({ ingest = async () => undefined, uploadSourcesMax = defaultLimits.uploadSourcesMax, used = new Set() }: Choice = {}) {
  const events: string[] = [];
  const counts = new CacheCounts();
  let isThere = true;
  let isFailing = false;
  const assertThere = (subject: string): void => {
    if (isFailing) throw new CovistaError('unavailable', 'the database does not answer');
    if (!isThere || subject !== actor.subject) throw new CovistaError('not_found', 'there is no such upload');
  };
  const sources = createUploadSources({
    limits: { uploadSourcesMax, tableIdleMs: defaultLimits.tableIdleMs },
    uploads: {
      status: async (_id: string, subject: string) => {
        assertThere(subject);
        return { offset: 12 };
      },
      read: async (_id: string, subject: string, _signal: AbortSignal, use: (file: { path: string; bytes: number }) => Promise<unknown>) => {
        assertThere(subject);
        return use({ path: '/upload', bytes: 12 });
      },
    } as never,
    content: {
      ingest: async (_source: unknown, { signal }: { signal: AbortSignal }) => {
        await ingest(signal);
        events.push('made');
        return { schema: [], schemaHash: '', file: { path: '/made', rows: 1, sha256: '' }, conversion: null };
      },
    } as never,
    staging: { discard: async (path: string) => void events.push(`discarded ${path}`) } as never,
    counts,
    used: () => used as ReadonlySet<never>,
    onGone: (uploadId) => events.push(`gone ${uploadId}`),
  });
  const expire = (): void => {
    isThere = false;
  };
  /** What is done meanwhile finds no database. */
  const failing = async (work: () => Promise<void>): Promise<void> => {
    isFailing = true;
    await work();
    isFailing = false;
  };
  return { sources, events, expire, failing };
}

test('TB9 what was made of an upload is made once, and goes when the upload expires', async () => {
  const { sources, events, expire } = prepare();
  const id = 'one' as never;
  expect(await sources.content(id, actor, calm)).toMatchObject({ rows: 1 });
  await sources.sweep();
  await sources.content(id, actor, calm);
  expect(events).toEqual(['made']);
  expire();
  await sources.sweep();
  await sources.close();
  expect(events).toEqual(['made', 'gone one', 'discarded /made']);
  await expect(sources.content(id, actor, calm)).rejects.toMatchObject({ code: 'not_found' });
});

test('TB9 an upload that expired before anybody looked is not found, and goes when it is asked for', async () => {
  const { sources, events, expire } = prepare();
  const id = 'two' as never;
  await sources.content(id, actor, calm);
  expire();
  await expect(sources.content(id, actor, calm)).rejects.toMatchObject({ code: 'not_found' });
  await sources.close();
  expect(events).toEqual(['made', 'gone two', 'discarded /made']);
});

test('TB9 who goes away while an upload is read takes nobody along', async () => {
  const { sources, events } = prepare({
    ingest: async (signal) => {
      await Promise.resolve();
      if (signal.aborted) throw new CovistaError('cancelled', 'the caller has gone away');
    },
  });
  const id = 'three' as never;
  const leaving = new AbortController();
  const first = sources.content(id, actor, leaving).catch((fault: unknown) => fault);
  const second = sources.content(id, actor, calm);
  leaving.abort();
  expect(await first).toMatchObject({ code: 'cancelled' });
  expect(await second).toMatchObject({ rows: 1 });
  expect(events.filter((event) => event === 'made')).toHaveLength(1);
  await sources.close();
});

test('TB9 what was made of an upload outlasts others who ask for it, and a database that fails once', async () => {
  const { sources, events, failing } = prepare();
  const id = 'four' as never;
  const carol = { subject: 'carol' } as Actor;
  await sources.content(id, actor, calm);
  const refused = await sources.content(id, carol, calm).catch((fault: unknown) => fault);
  const absent = await sources.content('none' as never, carol, calm).catch((fault: unknown) => fault);
  expect(refused).toMatchObject({ code: 'not_found' });
  expect(refused).toEqual(absent);
  await failing(async () => {
    await expect(sources.content(id, actor, calm)).rejects.toMatchObject({ code: 'unavailable' });
    await sources.sweep();
  });
  expect(await sources.content(id, actor, calm)).toMatchObject({ rows: 1 });
  expect(events).toEqual(['made']);
  await sources.close();
});

test('TB9 uploads whose tables nobody uses make room for others; those in use stay', async () => {
  const used = new Set<unknown>(['one']);
  const { sources, events } = prepare({ uploadSourcesMax: 2, used });
  const read = (id: string) => sources.content(id as never, actor, calm);
  await read('one');
  await read('two');
  await read('three');
  expect(events.filter((event) => event.startsWith('gone'))).toEqual(['gone two']);
  used.add('three');
  await expect(read('four')).rejects.toMatchObject({ code: 'rate_limited', details: { uploadSourcesMax: 2 } });
  expect(await read('one')).toMatchObject({ rows: 1 });
  expect(events).not.toContain('gone one');
  await sources.close();
});

test('TB9 an upload of which a table is being loaded is in use, and takes the table with it', async () => {
  const loading = Promise.withResolvers<EngineTable>();
  const content = { schema: [{ columnId: 1, name: 'a', type: 'INTEGER', nullable: true }], rows: 1, files: [] };
  const tables = new Tables({
    engines: [{ name: 'memory', dialect: 'exprtk', load: () => loading.promise }],
    uploadSources: { content: async () => content },
    idCounts: new CacheCounts(),
    key: 'key',
    limits: defaultLimits,
    clock: { now: () => 0 },
    times: { loaded: () => undefined },
  } as never);
  const options = { columns: null, rowLimit: null, engine: 'memory' } as const;
  const opening = tables.openUpload({ uploadId: 'one' as never, actor, options }, calm).catch((fault: unknown) => fault);
  await expect.poll(() => [...tables.usedUploads()]).toEqual(['one']);
  tables.forgetUpload('one' as never);
  const fake = fakeTable();
  loading.resolve(fake.table);
  expect(await opening).toMatchObject({ code: 'not_found' });
  expect([fake.closed, tables.usedUploads().size]).toEqual([1, 0]);
  tables.close();
});
