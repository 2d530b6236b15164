import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { tableId as parseTableId } from '../../protocol/ids.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import type { Actor } from '../../server/services/access/actor.ts';
import type { TableAt } from '../../server/services/tables/tables.ts';
import { createViewExports } from '../../server/services/tables/view-exports.ts';
import { Views } from '../../server/services/tables/views.ts';
import type { PerspectiveRequest } from '../../server/shared/perspective/types.ts';
import { fakeTable } from '../support/fake-table.ts';

const ROWS = 12;
const IDLE_MS = 1_000;
const limits = { ...defaultLimits, viewIdleMs: IDLE_MS, viewExportRows: 1 };
const tableId = parseTableId.parse('dataset_1_v1_0123456789abcdef0123456789abcdef');
const at: TableAt = { tableId, actor: { subject: 'alice' } as Actor, scope: undefined };
const calm = { signal: new AbortController().signal };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Views of a table of one column; `reading` is called before a window is answered. */
function prepare(reading: () => void = () => undefined) {
  const answer = (request: PerspectiveRequest): object => {
    if (request.kind === 'table_make_view') return { view_id: request.body.view_id };
    if (request.kind === 'view_schema') return { schema: { a: 'integer' } };
    if (request.kind === 'view_dimensions') return { num_table_rows: ROWS, num_table_columns: 1, num_view_rows: ROWS, num_view_columns: 1 };
    reading();
    return { csv: 'a\n1\n' };
  };
  const { table } = fakeTable({ answer });
  const loaded = { tableId, engine: { name: 'memory', dialect: 'exprtk' }, table };
  const views = new Views({
    tables: { lease: async () => ({ loaded, release: () => undefined }), verify: async () => undefined } as never,
    times: { computed: () => undefined },
    clock: { now: () => Date.now() },
    limits,
  });
  return { views, exports: createViewExports({ views, content: {} as never, staging: {} as never, limits }) };
}

test('TB2 a view that nobody uses for viewIdleMs ends', async () => {
  const { views } = prepare();
  const { viewId } = await views.create(at, {}, calm);
  vi.advanceTimersByTime(0.9 * IDLE_MS);
  await views.open(at, viewId, calm);
  vi.advanceTimersByTime(0.9 * IDLE_MS);
  await views.open(at, viewId, calm);
  vi.advanceTimersByTime(1.5 * IDLE_MS);
  await expect(views.open(at, viewId, calm)).rejects.toMatchObject({ code: 'not_found' });
  views.close();
});

test('TB2 an export that lasts longer than viewIdleMs has every row, and its view ends after it', async () => {
  const { views, exports } = prepare();
  const { viewId } = await views.create(at, {}, calm);
  let pieces = 0;
  for await (const piece of exports.export(at, viewId, 'csv', calm)) {
    if (piece instanceof Uint8Array) pieces += 1;
    vi.advanceTimersByTime(0.5 * IDLE_MS);
  }
  expect(pieces).toBe(ROWS);
  vi.advanceTimersByTime(1.5 * IDLE_MS);
  await expect(views.open(at, viewId, calm)).rejects.toMatchObject({ code: 'not_found' });
  views.close();
});

test('TB2 a view does not end while a window of it is being read', async () => {
  const { views } = prepare(() => vi.advanceTimersByTime(3 * IDLE_MS));
  const { viewId } = await views.create(at, {}, calm);
  const view = await views.open(at, viewId, calm);
  expect(await view.read('csv', { startRow: 0, endRow: 1 })).toBe('a\n1\n');
  await views.open(at, viewId, calm);
  views.close();
});
