import { afterEach, expect, test, vi } from 'vitest';
import { defaultLimits } from '../../protocol/limits.ts';
import { createDocuments, type DocumentsOptions } from '../../server/services/documents/documents.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { createLog } from '../../server/shared/log.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('DOC23 whoever opens a document that nobody had open does not wait until others are compacted', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  const compacting = Promise.withResolvers<Uint8Array>();
  const store = {
    acquire: async (targets: readonly { name: string }[]) => targets.map(({ name }) => ({ documentId: name, fence: 2 })),
    load: async () => ({ state: null, batches: [{ sequence: 1, updates: [] }], bindings: [] }),
    release: async () => undefined,
    compact: async () => true,
    addPeriodicSnapshot: async () => 0,
  };
  const states = { compact: () => compacting.promise };
  const limits = { ...defaultLimits, documentIdleMs: 1_000 };
  const documents = createDocuments({ store, states, limits, clock: systemClock, log: createLog('silent', false) } as unknown as DocumentsOptions);
  const open = (subject: string) =>
    documents.open({
      name: `user/${subject}`,
      actor: { subject } as never,
      access: undefined,
      receipts: false,
      connection: {},
      whenRenewed: () => undefined,
    });
  for (const subject of ['alice', 'bob']) (await open(subject)).abandon();
  await vi.advanceTimersByTimeAsync(1_500);
  const again = await open('bob');
  expect(documents.counts).toEqual({ documents: 2, channels: 1 });
  compacting.resolve(new Uint8Array());
  await vi.waitFor(() => expect(documents.counts).toEqual({ documents: 1, channels: 1 }));
  again.abandon();
  await documents.close();
});
