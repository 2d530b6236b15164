import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultLimits } from '../../protocol/limits.ts';
import type { TableSource } from '../../server/services/tables/engine.ts';
import { bareSession, deleteView, makeView, tableSize } from '../support/bare-session.ts';
import { bytes, calm, contentOfIngested, openTestContent, type TestContent, unrestricted } from '../support/content.ts';
import { memoryEngine } from '../support/table-engines.ts';

const ROWS = 10_000;
/** More than a view of the table takes, and less than ten of them. */
const ROOM_BYTES = 4 * 1024 * 1024;
const VIEWS_MAX = 100;

let content: TestContent;
let source: TableSource;
let small: TableSource;

beforeAll(async () => {
  content = await openTestContent();
  const lines = Array.from({ length: ROWS }, (_unused, id) => `${id},${(id * 7_919) % ROWS}`);
  const of = async (text: string): Promise<TableSource> => {
    const ingested = contentOfIngested(await content.ingest(bytes(text)));
    return { source: unrestricted(ingested), columns: null, rowLimit: null };
  };
  source = await of(['id,mixed', ...lines].join('\n'));
  small = await of('id\n1\n');
});

afterAll(async () => {
  await content?.close();
});

const pivot = (key: string, id: string) =>
  ({ ...(makeView(key, id) as object), body: { view_id: id, config: { group_by: ['id'], sort: [{ column: 'mixed', op: 'desc' }] } } }) as never;
const setDepth = (id: string, depth: number) => ({ entityId: id, kind: 'view_set_depth', body: { depth } }) as never;
const expand = (id: string) => ({ entityId: id, kind: 'view_expand', body: { row_index: 0 } }) as never;

/** What the engine uses with the table alone. */
async function usedWithTable(): Promise<number> {
  const engine = memoryEngine(content.store);
  try {
    await engine.load('big', source, calm());
    return engine.memory().usedBytes;
  } finally {
    await engine.close();
  }
}

test('MEM5 views that leave no room are refused, and the thread goes on with its tables and with room that is given back', async () => {
  const limits = { ...defaultLimits, memoryThreadsMax: 1, memoryEngineBytesMax: (await usedWithTable()) + ROOM_BYTES };
  const engine = memoryEngine(content.store, limits);
  try {
    const table = await engine.load('big', source, calm());
    const { ask, session, lost } = bareSession(table);
    const refusal = { kind: 'server_error', body: { status_code: 'memory_limit', message: expect.stringContaining('close some views') } };
    let views = 0;
    let answer = await ask(pivot('big', 'view0'));
    while (answer.kind === 'table_make_view' && views < VIEWS_MAX) {
      views += 1;
      answer = await ask(pivot('big', `view${views}`));
    }
    expect(answer).toMatchObject(refusal);
    expect(views).toBeGreaterThan(0);
    // What makes views larger is refused too, and so is a further table; what is there is read.
    expect(await ask(expand('view0'))).toMatchObject(refusal);
    expect(await ask(setDepth('view0', 1))).toMatchObject(refusal);
    expect(await ask(setDepth('view0', 0))).toMatchObject({ kind: 'view_set_depth' });
    await expect(engine.load('other', small, calm())).rejects.toMatchObject({ code: 'memory_limit' });
    expect(await ask(tableSize('big'))).toMatchObject({ body: { size: ROWS } });
    for (let view = 0; view < views; view += 1) expect(await ask(deleteView(`view${view}`))).toMatchObject({ kind: 'view_delete' });
    expect(await ask(pivot('big', 'again'))).toMatchObject({ kind: 'table_make_view' });
    expect((await engine.load('other', small, calm())).rows).toBe(1);
    expect(lost()).toBeUndefined();
    session.close();
  } finally {
    await engine.close();
  }
});

test('MEM5 a table goes to a thread that has room for it, also where that has more views than another', async () => {
  const half = { ...source, rowLimit: ROWS / 2 };
  const measuring = memoryEngine(content.store);
  const [smaller, larger] = [await measuring.load('half', half, calm()), await measuring.load('big', source, calm())].map(
    ({ bytes: taken }) => taken,
  );
  await measuring.close();
  const memoryThreadBytesMax = Number(smaller) + Number(larger) - 1;
  const engine = memoryEngine(content.store, { ...defaultLimits, memoryThreadsMax: 2, memoryThreadBytesMax });
  try {
    const { ask, session } = bareSession(await engine.load('half', half, calm()));
    await engine.load('big', source, calm());
    const usedBytes = () => engine.threads.map(({ memory }) => memory.usedBytes);
    for (let view = 0; view < 20; view += 1) await ask(pivot('half', `view${view}`));
    // What a thread uses is told soon after a view was made.
    await expect.poll(() => Math.max(...usedBytes()), { timeout: 30_000 }).toBeGreaterThan(memoryThreadBytesMax);
    expect((await engine.load('other', half, calm())).rows).toBe(ROWS / 2);
    session.close();
  } finally {
    await engine.close();
  }
});
