import type { PresentClient } from '../../index.ts';
import type { DatasetContext } from '../dataset/context.ts';
import type { Drawing } from '../explore/drawing.ts';
import type { Explorer } from '../explore/explorer.ts';
import { html, live } from '../ui/dom.ts';
import { type IconName, icon } from '../ui/icons.ts';
import { type Resource, shown, skeleton } from '../ui/resource.ts';
import { type Readable, Signal, shorterLife } from '../ui/signal.ts';
import { CellCursor } from './cell-cursor.ts';
import { CellMarks } from './cell-marks.ts';
import { notesPanel } from './notes-panel.ts';
import { followBar, othersOf, peopleStrip } from './people.ts';
import type { Room } from './room.ts';
import { anchorOf, type CellPress, describeAnchor, type Selection, selectionOf } from './selection.ts';
import { viewsPanel } from './views-panel.ts';

interface CompanionsOptions {
  readonly context: DatasetContext;
  readonly explorer: Explorer;
  readonly room: Resource<Room>;
  readonly ref: Readable<string>;
  readonly choose: (ref: string) => void;
  /** The saved view that was applied last. */
  readonly applied: Signal<string | undefined>;
  readonly life: AbortSignal;
}

type Panel = 'views' | 'notes';

const PANELS: readonly { readonly name: Panel; readonly label: string; readonly icon: IconName }[] = [
  { name: 'views', label: 'Views', icon: 'bookmark' },
  { name: 'notes', label: 'Notes', icon: 'note' },
];

const PANEL_KEY = 'covista-panel';

/** What of exploring is shared: who is here, whom one follows, saved views, notes, and their marks on the grid. */
export class Companions {
  readonly #options: CompanionsOptions;
  readonly #selection = new Signal<Selection | undefined>(undefined);
  readonly #followed = new Signal<PresentClient | undefined>(undefined);
  readonly #open: Signal<Panel | undefined>;
  readonly #cursor: CellCursor;
  readonly #marks = new CellMarks((grid, styled) => this.#cursor.listen(grid, styled));
  #stopFollowing: () => void = () => undefined;

  constructor(options: CompanionsOptions) {
    this.#options = options;
    const kept = localStorage.getItem(PANEL_KEY);
    this.#open = new Signal<Panel | undefined>(kept === 'views' || kept === 'notes' ? kept : undefined);
    const { room, explorer, life } = options;
    this.#cursor = new CellCursor({ explorer, life, choose: (press) => this.#choose(press), write: () => this.#write() });
    let joining: AbortController | undefined;
    room.watch(life, (state) => {
      joining?.abort();
      if (state.kind !== 'ready') return;
      joining = shorterLife(life);
      this.#join(state.value, joining.signal);
    });
    explorer.onReady = (viewer) => this.#listen(viewer);
    document.addEventListener('keydown', (event) => this.#undoKey(event), { signal: life });
    life.addEventListener('abort', () => this.#stopFollowing(), { once: true });
  }

  /** Who else is here. */
  strip(): HTMLElement {
    const { room, life } = this.#options;
    return live(
      life,
      room,
      (state, inner) => state.kind === 'ready' && peopleStrip(state.value, inner, (client) => this.#follow(state.value, client)),
    );
  }

  /** Undo, and the buttons that open the panels. */
  switches(): HTMLElement {
    const { room, life } = this.#options;
    const undo = live(life, room, (state, inner) => {
      if (state.kind !== 'ready' || !state.value.canWrite) return null;
      const { value } = state;
      return live(inner, value.canUndo, (can) =>
        html(
          'button',
          {
            type: 'button',
            class: 'button quiet square',
            disabled: !can,
            'aria-label': 'Undo my last change',
            title: 'Undo my last change',
            on: { click: () => value.undo() },
          },
          icon('undo'),
        ),
      );
    });
    const buttons = PANELS.map(({ name, label, icon: picture }) => {
      const button = html('button', { type: 'button', class: 'button', on: { click: () => this.#toggle(name) } }, icon(picture), label);
      this.#open.watch(life, (open) => {
        button.classList.toggle('pressed', open === name);
        button.setAttribute('aria-pressed', String(open === name));
      });
      return button;
    });
    return html('div', { class: 'switches' }, undo, buttons);
  }

  followBar(): HTMLElement {
    return followBar(this.#options.life, this.#followed, () => this.#unfollow());
  }

  panel(): HTMLElement {
    const { room, explorer, life, ref, context, applied } = this.#options;
    const selection = this.#selection;
    return live(life, this.#open, (open, inner) => {
      if (open === undefined) return null;
      const { label } = PANELS.find(({ name }) => name === open) ?? { label: '' };
      const content = shown(
        inner,
        room,
        (value, now) =>
          open === 'views'
            ? viewsPanel({
                client: context.app.client,
                room: value,
                explorer,
                life: now,
                applied,
                ref: () => ref.value,
                link: (view) => context.link('explore', { ref: ref.value, view }),
              })
            : notesPanel({ room: value, explorer, life: now, selection, applied, leave: () => this.#cursor.focus() }),
        () => skeleton(4),
      );
      return html('aside', { class: 'panel', 'aria-label': label }, content);
    });
  }

  #toggle(panel: Panel): void {
    const next = this.#open.value === panel ? undefined : panel;
    this.#open.set(next);
    if (next === undefined) localStorage.removeItem(PANEL_KEY);
    else localStorage.setItem(PANEL_KEY, next);
    // The viewer lays out its columns anew for the width that it has now.
    requestAnimationFrame(() => void this.#options.explorer.viewer?.resize());
  }

  /** Tells the others what is looked at, and draws what they look at. */
  #join(room: Room, life: AbortSignal): void {
    const { explorer, ref, context, applied } = this.#options;
    const tell = (): void => {
      const state = explorer.state.value;
      if (state?.kind !== 'shown') return;
      const { tableId, versionId } = state.table;
      room.show({ tableId, ref: ref.value, versionId, viewConfig: explorer.drawing.value as never, viewId: applied.value ?? null });
    };
    explorer.state.watch(life, tell);
    explorer.drawing.watch(life, tell);
    applied.watch(life, tell);
    this.#selection.watch(life, (selection) => {
      const { column, rowKey, row } = selection ?? {};
      room.show({
        selection:
          selection === undefined
            ? null
            : {
                ...(column === undefined ? {} : { column }),
                ...(rowKey === undefined ? {} : { rowKey: { ...rowKey } }),
                ...(row === undefined ? {} : { row }),
              },
      });
    });
    for (const source of [room.notes, room.people, this.#selection, explorer.state, explorer.drawing, context.dataset])
      source.watch(life, () => this.#mark(room));
  }

  #mark(room: Room): void {
    const { explorer, context } = this.#options;
    const { viewer, table } = explorer;
    if (viewer === undefined || table === undefined) return;
    this.#marks.set(viewer, {
      notes: room.notes.value,
      others: othersOf(room),
      own: this.#selection.value,
      key: context.dataset.latest?.key ?? null,
      types: new Map(table.schema.map(({ name, type }) => [name, type])),
      drawing: explorer.drawing.value,
      versionId: table.versionId,
    });
  }

  #listen(viewer: HTMLElement): void {
    viewer.addEventListener('perspective-click', (event) => void this.#choose((event as CustomEvent<CellPress>).detail));
  }

  /** Answers how the cell that was chosen is called. */
  #choose(press: CellPress): string {
    const { table } = this.#options.explorer;
    const types = new Map(table?.schema.map(({ name, type }) => [name, type]));
    const key = this.#options.context.dataset.latest?.key ?? null;
    const selection = { ...selectionOf(press, key, types), row: this.#marks.placeOf(this.#cursor.row) };
    this.#selection.set(selection);
    return describeAnchor(anchorOf(selection, table), () => undefined);
  }

  /** Begins a note about the cell that is chosen. */
  #write(): void {
    if (this.#open.value !== 'notes') this.#toggle('notes');
    document.querySelector<HTMLElement>('.panel .composer textarea')?.focus();
  }

  #follow(room: Room, client: PresentClient): void {
    this.#unfollow();
    const { explorer, choose, ref } = this.#options;
    this.#followed.set(client);
    const stopViews = room.document.presence.follow(client.clientId, (shared) => {
      if (shared === null) this.#unfollow();
      else void explorer.draw(shared as Drawing);
    });
    const life = new AbortController();
    room.people.watch(life.signal, (people) => {
      const now = people.find(({ clientId }) => clientId === client.clientId);
      if (now?.ref !== undefined && now.ref !== null && now.ref !== ref.value) choose(now.ref);
    });
    this.#stopFollowing = () => {
      stopViews();
      life.abort();
    };
  }

  #unfollow(): void {
    this.#stopFollowing();
    this.#stopFollowing = () => undefined;
    this.#followed.set(undefined);
  }

  /** Ctrl+Z takes back what was shared last, unless somebody is writing, where it belongs to the text. */
  #undoKey(event: KeyboardEvent): void {
    if (event.key === 'Escape' && this.#followed.value !== undefined) this.#unfollow();
    if (event.key !== 'z' || !(event.ctrlKey || event.metaKey) || event.shiftKey) return;
    const target = event.composedPath()[0];
    if (target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement) return;
    const room = this.#options.room.latest;
    if (room === undefined || !room.canUndo.value) return;
    event.preventDefault();
    room.undo();
  }
}
