import type { Client } from '../../../client/index.ts';
import { type Person, scenario } from './scenario.ts';

const PAGE_ROWS = 100;
/** Edits of which is remembered when they were made; those that nobody saw by then are forgotten. */
const EDITS_MAX = 10_000;
const GROUPS: readonly [readonly string[], ...(readonly string[])[]] = [['region', 'product'], ['product', 'region'], ['region', 'day'], ['product']];

interface View {
  readonly viewId: string;
  readonly rows: number;
}

interface Seat {
  readonly person: Person;
  readonly tableId: string;
  readonly document: Awaited<ReturnType<Client['document']['open']>>;
  pivot: View;
}

/** When each note was made; all people are in this process, and so go by one clock. */
const madeAtMs = new Map<string, number>();

/** People who explore one version together: pivots, pages, notes that others see, and cursors. */
export const coAnalysis = scenario<Seat>({
  about: 'Explore one version together: open its table, pivot, page, write notes that others see, move cursors',
  sit: async (person) => {
    const { client, recorder, world } = person;
    const at = performance.now();
    const table = await recorder.measure('table.open', at, () =>
      client.table.open({ datasetId: world.datasetId, ref: 'main' }, { perspective: false }),
    );
    const document = await client.document.open(`dataset/${world.datasetId}`);
    await recorder.measure('document.open', at, () => document.whenSynced());
    if (table === undefined) throw new Error('there is no table to sit at');
    watchNotes(document, person);
    const { tableId } = table;
    return { person, tableId, document, pivot: await createPivot(person, tableId) };
  },
  actions: [
    { name: 'view.data', weight: 60, run: readWindow },
    {
      name: 'view.create',
      weight: 6,
      run: async (seat) => {
        const before = seat.pivot;
        seat.pivot = await createPivot(seat.person, seat.tableId);
        await seat.person.client.view.close({ tableId: seat.tableId, viewId: before.viewId });
      },
    },
    { name: 'presence.set', weight: 20, run: async ({ document, tableId }) => document.presence.set({ tableId }) },
    { name: 'note', weight: 3, run: writeNote },
  ],
  leave: async ({ document }) => document.close(),
});

async function createPivot({ client, random }: Person, tableId: string): Promise<View> {
  const { viewId, rows } = await client.view.create({
    tableId: tableId,
    group_by: [...random.pick(GROUPS)],
    columns: ['quantity', 'price'],
    aggregates: { quantity: 'sum', price: 'avg' },
  });
  return { viewId, rows };
}

function readWindow({ person, tableId, pivot }: Seat): Promise<unknown> {
  const startRow = person.random.below(Math.max(1, pivot.rows - PAGE_ROWS));
  return person.client.view.data({ tableId: tableId, viewId: pivot.viewId, startRow, endRow: startRow + PAGE_ROWS });
}

/** The time of a note is that until the server keeps it. */
async function writeNote({ document }: Seat): Promise<void> {
  const { id } = document.annotations.add('What happened here?');
  madeAtMs.set(id, performance.now());
  if (madeAtMs.size > EDITS_MAX) madeAtMs.delete(madeAtMs.keys().next().value as string);
  await document.whenDurable();
}

/** Records how long the notes of others take to be here. */
function watchNotes({ doc }: Seat['document'], { recorder }: Person): void {
  doc.getMap('annotations').observe((event, { local }) => {
    if (local) return;
    for (const id of event.keysChanged) {
      const at = madeAtMs.get(id);
      if (at !== undefined) recorder.record('note.seen', performance.now() - at);
    }
  });
}
