import type { Client, SavedViewEntry } from '../../index.ts';
import { person } from '../app/avatar.ts';
import type { Drawing } from '../explore/drawing.ts';
import type { Explorer } from '../explore/explorer.ts';
import { kindOf } from '../explore/kind-menu.ts';
import { choiceField, openForm, textField, textOf } from '../ui/dialog.ts';
import { type Child, html, live } from '../ui/dom.ts';
import { ago, dateTime } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';
import { type MenuEntry, menuButton } from '../ui/menu.ts';
import type { Signal } from '../ui/signal.ts';
import { attempt, perform, toast } from '../ui/toast.ts';
import { showAttribution } from './attribution.ts';
import type { Room } from './room.ts';

export interface ViewsContext {
  readonly client: Client;
  readonly room: Room;
  readonly explorer: Explorer;
  readonly life: AbortSignal;
  /** The saved view that was applied last. */
  readonly applied: Signal<string | undefined>;
  /** The ref that is shown. */
  readonly ref: () => string;
  /** The address of a saved view on this ref. */
  readonly link: (viewId: string) => string;
}

/** The saved views as a list that is the same for everybody, and one's own below. */
export function viewsPanel(context: ViewsContext): HTMLElement {
  const { room, life, applied } = context;
  const list = live(life, room.views, (views, inner) => {
    if (views.length === 0) return nothingYet();
    return live(inner, applied, (current, now) =>
      html(
        'ul',
        { class: 'view-list' },
        views.map((view) => viewRow(context, view, view.id === current, now)),
      ),
    );
  });
  return html('div', { class: 'panel-body' }, saveButton(context), list);
}

/** There is something to save as soon as something is shown. */
function saveButton(context: ViewsContext): HTMLElement {
  const { explorer, life } = context;
  const save = (): void => saveView(context);
  const button = html('button', { type: 'button', class: 'button wide', on: { click: save } }, icon('bookmark'), 'Save this view');
  explorer.state.watch(life, (state) => {
    button.disabled = state?.kind !== 'shown';
  });
  return button;
}

function nothingYet(): HTMLElement {
  return html(
    'div',
    { class: 'empty' },
    icon('bookmark'),
    html('p', {}, 'No saved views yet. What you save here, everybody with the same access sees at once.'),
  );
}

function viewRow(context: ViewsContext, view: SavedViewEntry, isApplied: boolean, life: AbortSignal): HTMLElement {
  const { room, explorer } = context;
  const isMine = view.scope === 'private';
  const changed = view.updatedBy ?? view.author;
  return html(
    'li',
    { class: isApplied ? 'view-row applied' : 'view-row' },
    html(
      'div',
      { class: 'view-row-head' },
      html(
        'button',
        { type: 'button', class: 'link-button strong', 'aria-pressed': String(isApplied), on: { click: () => attempt(applyView(context, view)) } },
        view.name,
      ),
      isMine && html('span', { class: 'label' }, icon('lock'), 'mine'),
      (room.canWrite || isMine) && menuButton({ label: `Actions for view ${view.name}`, face: icon('more'), entries: entriesOf(context, view) }),
    ),
    html(
      'div',
      { class: 'muted small view-row-facts' },
      html('span', {}, kindOf(view.plugin)),
      person(changed),
      html('time', { datetime: view.updatedAt, title: dateTime(view.updatedAt) }, ago(view.updatedAt)),
    ),
    isApplied && live(life, explorer.drawing, (drawing) => isChanged(view, drawing) && changedBar(context, view)),
  );
}

function changedBar(context: ViewsContext, view: SavedViewEntry): Child {
  const { room } = context;
  const update = (): void => attempt(updateView(context, view));
  const revert = (): void => attempt(applyView(context, view));
  return html(
    'div',
    { class: 'view-changed' },
    html('span', { class: 'label warning' }, 'changed'),
    (room.canWrite || view.scope === 'private') && html('button', { type: 'button', class: 'button small', on: { click: update } }, 'Update'),
    html('button', { type: 'button', class: 'button small', on: { click: revert } }, 'Revert'),
  );
}

function isChanged({ config, plugin }: SavedViewEntry, drawing: Drawing | undefined): boolean {
  if (drawing === undefined) return false;
  // How totals are shown is the plugin's choice where the view says nothing of it, as one that was made by a program.
  const { group_rollup_mode = drawing.config.group_rollup_mode } = config;
  return plugin !== drawing.plugin || canonical({ ...config, group_rollup_mode }) !== canonical(drawing.config);
}

/** Fields in one order, without those that say nothing. */
function canonical(config: object): string {
  const said = Object.entries(config).filter(
    ([, value]) => value !== null && value !== undefined && JSON.stringify(value) !== '[]' && JSON.stringify(value) !== '{}',
  );
  return JSON.stringify(said.sort(([one], [other]) => one.localeCompare(other)));
}

/** A saved view as it is drawn. */
export function drawingOfView({ config, dialect, plugin, pluginConfig, columnsConfig, columnTypes, name }: SavedViewEntry): Drawing {
  return { config, dialect, plugin, pluginConfig, columnsConfig, columnTypes, title: name };
}

async function applyView({ explorer, applied }: ViewsContext, view: SavedViewEntry): Promise<void> {
  await explorer.draw(drawingOfView(view));
  applied.set(view.id);
}

/** Whoever may see the view sees it at this address. */
async function copyLink({ link }: ViewsContext, view: SavedViewEntry): Promise<void> {
  await navigator.clipboard.writeText(new URL(link(view.id), location.href).href);
  toast(`Copied the link to ${view.name}`);
}

async function updateView({ room, explorer, ref }: ViewsContext, view: SavedViewEntry): Promise<void> {
  const { table } = explorer;
  const drawn = await explorer.drawn();
  if (drawn === undefined || table === undefined) return;
  await room.update(view, {
    ...fieldsOf(drawn),
    ref: ref(),
    versionId: table.versionId ?? undefined,
    dialect: table.dialect,
    columns: table.schema,
  });
}

const fieldsOf = ({ config, plugin, pluginConfig, columnsConfig }: Drawing) => ({
  config,
  plugin,
  pluginConfig: pluginConfig as never,
  columnsConfig: columnsConfig as never,
});

function saveView({ room, explorer, applied, ref }: ViewsContext): void {
  const { table } = explorer;
  if (table === undefined) return;
  const choices = [...(room.canWrite ? [{ value: 'shared', label: 'Everybody who sees the same' }] : []), { value: 'private', label: 'Only me' }];
  void openForm({
    title: 'Save this view',
    submit: 'Save view',
    fields: [
      textField({ label: 'Name', name: 'name', required: true, placeholder: 'Sales by region' }),
      choiceField({ label: 'For', name: 'scope', choices }),
    ],
    send: async (values) => {
      const drawn = await explorer.drawn();
      if (drawn === undefined) return;
      const scope = textOf(values, 'scope') === 'shared' ? 'shared' : 'private';
      const made = room.keeping({ scope }).create({
        name: textOf(values, 'name'),
        ...fieldsOf(drawn),
        ref: ref(),
        ...(table.versionId === null ? {} : { versionId: table.versionId }),
        dialect: table.dialect,
        columns: table.schema,
      });
      applied.set(made.id);
      // The viewer draws anew for it, which takes as long as the server does; the view is saved.
      attempt(explorer.viewer?.restore({ title: made.name }) ?? Promise.resolve());
    },
  });
}

function entriesOf(context: ViewsContext, view: SavedViewEntry): MenuEntry[] {
  const keeping = context.room.keeping(view);
  const rename = (): void =>
    void openForm({
      title: `Rename ${view.name}`,
      submit: 'Rename',
      fields: [textField({ label: 'Name', name: 'name', value: view.name, required: true })],
      send: async (values) => void keeping.rename(view.id, textOf(values, 'name')),
    });
  const remove = (): void => {
    perform(() => keeping.remove(view.id));
    toast(view.scope === 'shared' ? `Deleted ${view.name}. Undo brings it back.` : `Deleted ${view.name}`);
  };
  return [
    { label: 'Apply', icon: 'eye', run: () => attempt(applyView(context, view)) },
    { label: 'Update with what is shown', icon: 'bookmark', run: () => attempt(updateView(context, view)) },
    { label: 'Copy link', icon: 'link', run: () => attempt(copyLink(context, view)) },
    { label: 'Rename…', icon: 'edit', run: rename },
    ...(view.scope === 'shared'
      ? [{ label: 'Who changed this…', icon: 'person', run: () => showAttribution(context.client, context.room, view) } as const]
      : []),
    { label: 'Delete', icon: 'trash', danger: true, run: remove },
  ];
}
