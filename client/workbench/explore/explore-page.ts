import type { ConnectionState } from '../../index.ts';
import { goQuietly } from '../app/route.ts';
import type { DatasetContext } from '../dataset/context.ts';
import { refPicker } from '../dataset/ref-picker.ts';
import { Companions } from '../together/companions.ts';
import type { Room } from '../together/room.ts';
import { openRoom } from '../together/room.ts';
import { drawingOfView } from '../together/views-panel.ts';
import { type Child, html, live } from '../ui/dom.ts';
import { counted, integer } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';
import { answerOf, failure, Resource } from '../ui/resource.ts';
import { derive, type Readable, Signal, whenChanged } from '../ui/signal.ts';
import { attempt, toast } from '../ui/toast.ts';
import { dropZone } from '../upload/drop.ts';
import type { Drawing } from './drawing.ts';
import { Explorer, type Showing } from './explorer.ts';
import { exportMenu } from './export-menu.ts';
import { kindMenu } from './kind-menu.ts';

/** A version in a viewer, alone or together with others. */
export function explorePage(context: DatasetContext, life: AbortSignal): HTMLElement {
  const { app, datasetId } = context;
  const explorer = new Explorer({ client: app.client, datasetId, life, drawing: context.drawing });
  const room: Resource<Room> = openRoomAgain(context, life);
  const ref = derive(life, app.route, ({ query }) => query.get('ref') ?? 'main');
  const stage = html('div', { class: 'stage' });
  const applied = new Signal(app.route.value.query.get('view'));
  const choose = (chosen: string): void => goQuietly(context.link('explore', { ref: chosen, view: applied.value }));
  const show = (): void => void explorer.show(ref.value, stage);
  const companions = new Companions({ context, explorer, room, ref, choose, applied, life });
  followView({ context, explorer, room, applied, life });
  // A view that the address names is drawn first; it is asked for while the table opens.
  if (applied.value === undefined || context.drawing.value !== undefined) show();
  else void explorer.show(ref.value, stage, linkedDrawing(room, applied.value, life));
  whenChanged(life, ref, show);
  onReconnect(app.connection, life, show);
  onFirstVersion(context, life, () => explorer.state.value?.kind === 'failed' && show());
  app.theme.watch(life, (theme) => void explorer.setTheme(theme));
  const overlay = live(life, explorer.state, (state, inner) =>
    state?.kind === 'failed'
      ? live(inner, context.branches, () => (context.branches.latest?.length === 0 ? nothingYet(context) : curtain(state, show, choose)))
      : curtain(state, show, choose),
  );
  return html(
    'div',
    { class: 'explore' },
    html('h1', { class: 'visually-hidden' }, 'Explore'),
    html(
      'div',
      { class: 'explore-bar' },
      refPicker({ context, life, label: 'Version', value: ref, choose }),
      live(life, explorer.state, factsOf),
      html('div', { class: 'bar-space' }),
      companions.strip(),
      live(
        life,
        derive(life, explorer.state, (state) => state?.kind === 'shown'),
        (isShown, inner) => isShown && kindMenu(context, explorer, inner),
      ),
      live(life, explorer.state, (state) => state?.kind === 'shown' && exportMenu(app.client, explorer)),
      companions.switches(),
    ),
    html(
      'div',
      { class: 'explore-notices' },
      companions.followBar(),
      movedNotice({ context, explorer, ref, show, life }),
      live(life, explorer.dropped, (dropped) => dropped.length > 0 && droppedNotice(explorer, dropped)),
    ),
    html('div', { class: 'explore-body' }, html('div', { class: 'stage-frame' }, stage, overlay), companions.panel()),
  );
}

interface FollowView {
  readonly context: DatasetContext;
  readonly explorer: Explorer;
  readonly room: Resource<Room>;
  readonly applied: Signal<string | undefined>;
  readonly life: AbortSignal;
}

/** The address names the view that is applied, and the view is applied that the address names. */
function followView({ context, explorer, room, applied, life }: FollowView): void {
  const { route } = context.app;
  const isHere = (): boolean => route.value.path[2] === undefined || route.value.path[2] === 'explore';
  const query = (): Record<string, string | undefined> => ({ ref: route.value.query.get('ref'), view: applied.value });
  whenChanged(life, applied, (view) => route.value.query.get('view') !== view && goQuietly(context.link('explore', query())));
  route.watch(life, ({ query: now }) => {
    if (!isHere()) return;
    context.exploring.set({ ref: now.get('ref'), view: now.get('view') });
    const view = room.latest?.views.value.find(({ id }) => id === now.get('view'));
    if (view === undefined || view.id === applied.value) return;
    applied.set(view.id);
    attempt(explorer.draw(drawingOfView(view)));
  });
}

async function linkedDrawing(room: Resource<Room>, viewId: string, life: AbortSignal): Promise<Drawing | undefined> {
  const view = (await answerOf(life, room))?.views.value.find(({ id }) => id === viewId);
  if (view === undefined && !life.aborted) toast('The view of this link is not there any more, or not for you.', 'failed');
  return view && drawingOfView(view);
}

/** A room that is closed and opens again within this has no use; it is left to be opened by hand. */
const REOPEN_AFTER_MS = 5_000;

/** The room of a dataset; one that the server closes, as when what one may see changes, is opened anew. */
function openRoomAgain({ app, datasetId }: DatasetContext, life: AbortSignal): Resource<Room> {
  let openedAt = 0;
  const room: Resource<Room> = new Resource<Room>(life, (signal) => {
    openedAt = Date.now();
    return openRoom({ app, datasetId, life: signal, closed: () => Date.now() - openedAt > REOPEN_AFTER_MS && void room.reload() });
  });
  return room;
}

/** Runs whenever another connection has taken the place of the one before. */
function onReconnect(connection: Readable<ConnectionState>, life: AbortSignal, run: () => void): void {
  const idOf = (state: ConnectionState): string | undefined => (state.kind === 'open' ? state.connectionId : undefined);
  let known = idOf(connection.value);
  connection.watch(life, (state) => {
    const id = idOf(state);
    if (id === undefined || id === known) return;
    known = id;
    run();
  });
}

/** Runs when a dataset that was empty has something to show. Whatever else failed stays on the page until somebody tries again. */
function onFirstVersion({ branches }: DatasetContext, life: AbortSignal, run: () => void): void {
  let wasEmpty = false;
  branches.watch(life, () => {
    const count = branches.latest?.length;
    if (wasEmpty && count !== undefined && count > 0) run();
    wasEmpty = count === undefined ? wasEmpty : count === 0;
  });
}

const ENGINES: Readonly<Record<string, string>> = { memory: 'in memory', duckdb: 'DuckDB' };

function factsOf(state: Showing | undefined): Child {
  if (state?.kind !== 'shown') return null;
  const { engine, rows, totalRows, truncated, versionId, schema } = state.table;
  const amount = truncated ? `${integer(rows)} of ${counted(totalRows, 'row')}` : counted(rows, 'row');
  return html(
    'p',
    { class: 'muted explore-facts' },
    html('span', { class: 'mono' }, `v${versionId}`),
    html('span', {}, amount),
    html('span', {}, counted(schema.length, 'column')),
    html('span', { class: 'label', title: 'The engine that answers' }, ENGINES[engine] ?? engine),
  );
}

function droppedNotice(explorer: Explorer, dropped: Explorer['dropped']['value']): HTMLElement {
  const columns = [...new Set(dropped.map(({ column }) => column))];
  const dismiss = (): void => explorer.dropped.set([]);
  return html(
    'div',
    { class: 'dropped', role: 'status' },
    icon('warning'),
    html('span', {}, 'Left out of the view, because this version does not have it: ', html('strong', {}, columns.join(', '))),
    html('button', { type: 'button', class: 'button quiet square', 'aria-label': 'Dismiss', on: { click: dismiss } }, icon('close')),
  );
}

interface MovedOptions {
  readonly context: DatasetContext;
  readonly explorer: Explorer;
  readonly ref: Readable<string>;
  readonly show: () => void;
  readonly life: AbortSignal;
}

/** Says that the branch which is shown has moved on, and shows its new head when that is wanted. */
function movedNotice({ context, explorer, ref, show, life }: MovedOptions): HTMLElement {
  return live(life, explorer.state, (state, inner) =>
    live(inner, context.branches, () => {
      const head = context.branches.latest?.find(({ name }) => name === ref.value);
      if (state?.kind !== 'shown' || head === undefined || head.versionId === state.table.versionId) return null;
      return html(
        'div',
        { class: 'moved', role: 'status' },
        icon('branch'),
        html('span', {}, html('strong', {}, head.name), ` has moved on to v${head.versionId}`),
        html('button', { type: 'button', class: 'button small', on: { click: show } }, 'Show it'),
      );
    }),
  );
}

function nothingYet(context: DatasetContext): HTMLElement {
  return html(
    'div',
    { class: 'curtain' },
    html(
      'div',
      { class: 'empty' },
      icon('explore'),
      html('h2', {}, 'Nothing to explore yet'),
      html('p', {}, 'The first file that is uploaded becomes version 1 on main.'),
      context.may('write') && dropZone((files) => context.upload(files)),
    ),
  );
}

/** What lies over the viewer while there is nothing to see. */
function curtain(state: Showing | undefined, retry: () => void, choose: (ref: string) => void): Child {
  if (state?.kind === 'shown') return null;
  if (state?.kind === 'failed') {
    const main = state.ref !== 'main' && html('button', { type: 'button', class: 'button quiet', on: { click: () => choose('main') } }, 'Show main');
    return html('div', { class: 'curtain' }, failure(state.error, retry, main));
  }
  const className = state?.kind === 'opening' && state.again ? 'curtain veil' : 'curtain';
  const words = state === undefined ? 'Opening…' : `Opening ${state.ref}…`;
  return html(
    'div',
    { class: className, role: 'status' },
    html('div', { class: 'spinner', 'aria-hidden': 'true' }),
    html('p', { class: 'muted' }, words),
  );
}
