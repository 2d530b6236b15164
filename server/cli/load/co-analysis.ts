import type * as Y from 'yjs';
import type { LiveDocument } from '../../../client/index.ts';
import { type Person, scenario } from './scenario.ts';
import { openDocument } from './shared-document.ts';

const PAGE_ROWS = 100;

/** What others see, by the map of the document that holds it. */
const SEEN = [
  ['annotations', 'note.seen'],
  ['views', 'view.seen'],
] as const;
const FINDINGS = 'findings';

interface View {
  readonly viewId: string;
  readonly rows: number;
}

/** Views that one person saves before the oldest goes: a document holds so many of all. */
const SAVED_VIEWS_MAX = 2;

type SavedViews = ReturnType<LiveDocument['savedViews']>;

interface Seat {
  readonly person: Person;
  readonly tableId: string;
  readonly document: LiveDocument;
  pivot: View;
  /** The pivot before, which is still open. */
  left: View | undefined;
  readonly views: SavedViews;
  /** Oldest first. */
  readonly savedViewIds: string[];
}

/** People who explore one version together: pivots, pages, saved views and notes that others see, cursors, and commits of what they found. */
export const coAnalysis = scenario<Seat>({
  about: 'Explore one version together: open its table, pivot, page, save views and write notes that others see, move cursors, commit',
  sit: async (person) => {
    const { client, world } = person;
    const open = () => client.table.open({ datasetId: world.datasetId, ref: 'main' }, { perspective: false });
    const { tableId } = await measured(person, 'table.open', open);
    const document = await measured(person, 'document.open', () => syncedDocument(person));
    if (person.isWatching) watchEdits(document, person);
    const pivot = await measured(person, 'view.create', () => createPivot(person, tableId));
    return { person, tableId, document, pivot, left: undefined, views: document.savedViews(), savedViewIds: [] };
  },
  actions: [
    { name: 'view.data', weight: 60, run: readWindow },
    { name: 'view.create', weight: 6, run: pivotAnew, after: closeLeft },
    { name: 'presence.set', weight: 20, isLocal: true, run: async (seat) => moveCursor(seat) },
    { name: 'note', weight: 3, run: writeNote },
    { name: 'view.save', weight: 1, run: saveView },
    { name: 'version.commit', weight: 0.5, needsMadeWorld: true, run: commitFinding },
  ],
  leave: async ({ document }) => document.close(),
});

/** What somebody must have who takes a seat. */
async function measured<Opened>({ recorder }: Person, action: string, open: () => Promise<Opened>): Promise<Opened> {
  const opened = await recorder.measure(action, performance.now(), open);
  if (opened === undefined) throw new Error(`there is no seat without ${action}`);
  return opened;
}

async function syncedDocument(person: Person): Promise<LiveDocument> {
  const document = await openDocument(person, `dataset/${person.world.datasetId}`);
  await document.whenSynced();
  return document;
}

async function pivotAnew(seat: Seat): Promise<void> {
  const pivot = await createPivot(seat.person, seat.tableId);
  seat.left = seat.pivot;
  seat.pivot = pivot;
}

/** An action of its own, so that objectives for pivots judge nothing else. */
async function closeLeft(seat: Seat): Promise<void> {
  const { left, tableId, person } = seat;
  if (left === undefined) return;
  seat.left = undefined;
  await person.recorder.measure('view.close', performance.now(), () => person.client.view.close({ tableId, viewId: left.viewId }));
}

async function createPivot({ client, random, world }: Person, tableId: string): Promise<View> {
  const { viewId, rows } = await client.view.create({
    tableId: tableId,
    group_by: [...random.pick(world.groups)],
    columns: world.measures.map(({ column }) => column),
    aggregates: Object.fromEntries(world.measures.map(({ column, aggregate }) => [column, aggregate])),
  });
  return { viewId, rows };
}

function readWindow({ person, tableId, pivot }: Seat): Promise<unknown> {
  const startRow = person.random.below(Math.max(1, pivot.rows - PAGE_ROWS));
  return person.client.view.data({ tableId: tableId, viewId: pivot.viewId, startRow, endRow: startRow + PAGE_ROWS });
}

function moveCursor({ person, document, tableId, pivot }: Seat): void {
  document.presence.set({ tableId, selection: { row: person.random.below(pivot.rows), column: person.random.pick(person.world.measures).column } });
}

/** The time of an edit is that until the server keeps it. */
async function writeNote({ document }: Seat): Promise<void> {
  document.annotations.add('What happened here?');
  await document.whenDurable();
}

async function saveView({ person, document, views, savedViewIds }: Seat): Promise<void> {
  const groupBy = person.random.pick(person.world.groups);
  const { id } = views.create({
    name: `By ${groupBy.join(' and ')}`,
    config: { group_by: [...groupBy], columns: [person.world.measures[0].column] },
  });
  savedViewIds.push(id);
  if (savedViewIds.length > SAVED_VIEWS_MAX) views.remove(savedViewIds.shift() as string);
  await document.whenDurable();
}

/** A row behind those of a branch of its own, so that the table under the people stays the newest of its branch. */
function commitFinding({ person: { client, world, number } }: Seat): Promise<unknown> {
  const row = `order,day,region,product,customer,quantity,price,discount\n${world.rows + number},2026-01-31,North,Desk,customer 1,1,9.99,0\n`;
  const body = new TextEncoder().encode(row);
  return client.version.commit({ datasetId: world.datasetId, branch: FINDINGS, mode: 'append', message: 'A finding' }, { body });
}

/** Records how long the edits of others take to be here; all people are on this machine, and so go by one clock. */
function watchEdits({ doc }: LiveDocument, { recorder }: Person): void {
  for (const [map, action] of SEEN) {
    doc.getMap(map).observe((event, { local }) => {
      if (local) return;
      for (const [id, { action: change }] of event.changes.keys) {
        const made = change === 'add' ? (doc.getMap(map).get(id) as Y.Map<string>).get('createdAt') : undefined;
        if (made !== undefined) recorder.record(action, Date.now() - Date.parse(made));
      }
    });
  }
}
