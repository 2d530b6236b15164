import { afterEach, expect, test, vi } from 'vitest';
import { defaultLimits } from '../../protocol/limits.ts';
import { createDocuments, type Documents, type DocumentsOptions } from '../../server/services/documents/documents.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { createLog } from '../../server/shared/log.ts';

afterEach(() => {
  vi.useRealTimers();
});

const open = (documents: Documents, subject: string) =>
  documents.open({
    name: `user/${subject}`,
    actor: { subject } as never,
    access: undefined,
    receipts: false,
    connection: {},
    whenRenewed: () => undefined,
  });

test('DOC23 whoever opens a document that nobody had open does not wait until others are compacted', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  const compacting = Promise.withResolvers<undefined>();
  const store = {
    acquire: async (targets: readonly { name: string }[]) => targets.map(({ name }) => ({ documentId: name, fence: 2 })),
    load: async () => ({ state: null, batches: [{ sequence: 1, updates: [] }], bindings: [], told: [] }),
    release: async () => undefined,
    addPeriodicSnapshot: async () => 0,
  };
  const states = { compactStored: () => compacting.promise };
  const limits = { ...defaultLimits, documentIdleMs: 1_000 };
  const documents = createDocuments({ store, states, limits, clock: systemClock, log: createLog('silent', false) } as unknown as DocumentsOptions);
  for (const subject of ['alice', 'bob']) (await open(documents, subject)).abandon();
  await vi.advanceTimersByTimeAsync(1_500);
  const again = await open(documents, 'bob');
  expect(documents.counts).toEqual({ documents: 2, channels: 1 });
  compacting.resolve(undefined);
  await vi.waitFor(() => expect(documents.counts).toEqual({ documents: 1, channels: 1 }));
  again.abandon();
  await documents.close();
});

test('DOC22 a document that was given back and opened again while its lease was renewed stays open', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  const renewing = Promise.withResolvers<string[]>();
  let fence = 1;
  const store = {
    acquire: async (targets: readonly { name: string }[]) => targets.map(({ name }) => ({ documentId: name, fence: fence++ })),
    load: async () => ({ state: null, batches: [], bindings: [], told: [] }),
    release: async () => undefined,
    renew: () => renewing.promise,
  };
  const limits = { ...defaultLimits, documentIdleMs: 1_000, documentLeaseMs: 30_000 };
  const documents = createDocuments({ store, limits, clock: systemClock, log: createLog('silent', false) } as unknown as DocumentsOptions);
  await vi.advanceTimersByTimeAsync(9_500);
  (await open(documents, 'alice')).abandon();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(documents.counts.documents).toBe(0);
  const again = await open(documents, 'alice');
  renewing.resolve(['user/alice']);
  await vi.advanceTimersByTimeAsync(0);
  expect(documents.counts).toEqual({ documents: 1, channels: 1 });
  again.abandon();
  await documents.close();
});

test('DOC22 a document that cannot be opened is given back, so that another server may have it', async () => {
  const held = new Set<string>();
  const store = {
    acquire: async (targets: readonly { name: string }[]) => {
      for (const { name } of targets) held.add(name);
      return targets.map(({ name }) => ({ documentId: name, fence: 2 }));
    },
    load: async () => ({ state: { sequence: 1, update: Uint8Array.of(255) }, batches: [], bindings: [], told: [] }),
    release: async (leases: readonly { documentId: string }[]) => {
      for (const { documentId } of leases) held.delete(documentId);
    },
  };
  const documents = createDocuments({
    store,
    limits: defaultLimits,
    clock: systemClock,
    log: createLog('silent', false),
  } as unknown as DocumentsOptions);
  await expect(open(documents, 'alice')).rejects.toThrow();
  expect([...held]).toEqual([]);
  expect(documents.counts.documents).toBe(0);
  await documents.close();
});
