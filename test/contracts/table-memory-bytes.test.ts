import { expect, test } from 'vitest';
import { resolveLimits } from '../../protocol/limits.ts';
import { bytes, calm, contentOfIngested, openTestContent, unrestricted } from '../support/content.ts';
import { memoryEngine } from '../support/table-engines.ts';

test('MEM5 what a table is reckoned to take decides, before a thread has any of it', async () => {
  const content = await openTestContent();
  const rows = Array.from({ length: 10_000 }, (_unused, id) => `${id},${id / 3}`);
  const of = contentOfIngested(await content.ingest(bytes(['id,third', ...rows].join('\n'))));
  /** What the table takes under these limits, and whether a thread has anything then. */
  const load = async (limits: { readonly tableBytesMax?: number; readonly memoryThreadBytesMax?: number }) => {
    const engine = memoryEngine(content.store, { ...resolveLimits({}), ...limits });
    try {
      const loading = engine.load('table', { source: unrestricted(of), columns: null, rowLimit: null }, calm());
      const outcome = await loading.then(({ bytes: taken }) => taken).catch((fault: unknown) => fault);
      return { outcome, isHeld: engine.threads.some(({ isEmpty }) => !isEmpty) };
    } finally {
      await engine.close();
    }
  };
  try {
    const { outcome } = await load({});
    const taken = Number(outcome);
    expect(taken).toBeGreaterThan(10_000 * 16);
    const refused = { outcome: { code: 'memory_limit' }, isHeld: false };
    expect(await load({ tableBytesMax: taken - 1 })).toMatchObject({ ...refused, outcome: { details: { tableBytesMax: taken - 1 } } });
    expect(await load({ memoryThreadBytesMax: taken - 1 })).toMatchObject(refused);
    expect(await load({ tableBytesMax: taken, memoryThreadBytesMax: taken })).toEqual({ outcome: taken, isHeld: true });
  } finally {
    await content.close();
  }
});
