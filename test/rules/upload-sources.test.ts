import { expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import type { Actor } from '../../server/services/access/actor.ts';
import { createUploadSources } from '../../server/services/tables/upload-sources.ts';
import { CacheCounts } from '../../server/shared/cache-counts.ts';

const actor = { subject: 'alice' } as Actor;
const calm = { signal: new AbortController().signal };

/** One upload that lasts until it is told to end, and what was done with what was made of it. */
function prepare(ingest: (signal: AbortSignal) => Promise<void> = async () => undefined) {
  const events: string[] = [];
  const counts = new CacheCounts();
  let isThere = true;
  const assertThere = (): void => {
    if (!isThere) throw new CovistaError('not_found', 'there is no such upload');
  };
  const sources = createUploadSources({
    limits: { uploadSourcesMax: defaultLimits.uploadSourcesMax, tableIdleMs: defaultLimits.tableIdleMs },
    uploads: {
      status: async () => {
        assertThere();
        return { offset: 12 };
      },
      read: async (_id: string, _subject: string, _signal: AbortSignal, use: (file: { path: string; bytes: number }) => Promise<unknown>) => {
        assertThere();
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
    onGone: (uploadId) => events.push(`gone ${uploadId}`),
  });
  const expire = (): void => {
    isThere = false;
  };
  return { sources, events, expire };
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
  const { sources, events } = prepare(async (signal) => {
    await Promise.resolve();
    if (signal.aborted) throw new CovistaError('cancelled', 'the caller has gone away');
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
