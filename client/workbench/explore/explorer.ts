import type { SavedViewConfig } from '../../../protocol/documents/index.ts';
import { type AppliedView, applyView, type Client, CovistaError } from '../../index.ts';
import { Signal } from '../ui/signal.ts';
import type { OpenedTable } from './open-table.ts';
import { createViewer, loadViewer, type Viewer, type ViewerConfig } from './viewer.ts';

/** What is drawn, apart from where its rows come from. */
export interface Drawing {
  readonly config: SavedViewConfig;
  readonly plugin: string;
  readonly pluginConfig?: unknown;
  readonly columnsConfig?: unknown;
  /** What it is called, such as the name of a saved view. */
  readonly title?: string | undefined;
  /** The columns that it was made on, by type, where they are known. */
  readonly columnTypes?: Readonly<Record<string, string>> | undefined;
}

export type Showing =
  /** `again`: something is shown already, which stays until the new is there. */
  | { readonly kind: 'opening'; readonly ref: string; readonly again: boolean }
  | { readonly kind: 'shown'; readonly ref: string; readonly table: OpenedTable }
  | { readonly kind: 'failed'; readonly ref: string; readonly error: unknown };

interface ExplorerOptions {
  readonly client: Client;
  readonly datasetId: number;
  readonly life: AbortSignal;
  /** Holds what is drawn; what it has at first is drawn first. */
  readonly drawing: Signal<Drawing | undefined>;
}

interface Show {
  readonly ref: string;
  readonly place: HTMLElement;
  readonly drawing: Drawing | undefined | Promise<Drawing | undefined>;
  /** What was begun before. */
  readonly previous: Promise<void>;
}

/** One viewer on one dataset: opens tables for refs and keeps what is drawn from one to the next, as far as it fits. */
export class Explorer {
  readonly state = new Signal<Showing | undefined>(undefined);
  /** What the viewer shows, as somebody changed it last. */
  readonly drawing: Signal<Drawing | undefined>;
  /** What of the last drawing did not fit the table; empty when everything did. */
  readonly dropped = new Signal<AppliedView['dropped']>([]);
  /** Told of the viewer, once it is there. */
  onReady: (viewer: Viewer) => void = () => undefined;
  readonly #options: ExplorerOptions;
  #viewer: Viewer | undefined;
  #table: OpenedTable | undefined;
  /** The viewer has met an error of its client, from which it does not recover; another takes its place. */
  #isSpoiled = false;
  /** Settles when what was begun last is over. */
  #showing: Promise<void> = Promise.resolve();
  /** What somebody chose to be drawn while a table opens; it takes the place of everything else as soon as there is one. */
  #asked: Drawing | undefined;
  /** Rises with every ref, so that what comes late for an earlier one is left aside. */
  #turn = 0;

  constructor(options: ExplorerOptions) {
    this.#options = options;
    this.drawing = options.drawing;
    options.life.addEventListener('abort', () => void this.#leave(), { once: true });
  }

  get viewer(): Viewer | undefined {
    return this.#viewer;
  }

  get table(): OpenedTable | undefined {
    return this.#table;
  }

  /** Shows a ref; `drawing` is what to draw, absent: what is drawn now. One that is not known yet is waited for while the table opens. */
  show(ref: string, place: HTMLElement, drawing: Show['drawing'] = this.drawn()): Promise<void> {
    this.#showing = this.#show({ ref, place, drawing, previous: this.#showing });
    return this.#showing;
  }

  async #show({ ref, place, drawing, previous }: Show): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    const before = this.#table;
    this.state.set({ kind: 'opening', ref, again: before !== undefined });
    try {
      const { client, datasetId } = this.#options;
      // The viewer is loaded while the server opens the table.
      const [table, wanted] = await Promise.all([client.table.open({ datasetId, ref }), drawing, loadViewer()]);
      // The viewer does one thing after the other.
      await previous;
      if (turn !== this.#turn || this.#options.life.aborted) return release(table);
      this.#table = table;
      await table.perspective.on_error(() => this.#lost(turn, place));
      await this.#attach(table, place);
      await this.#drawAsked(wanted ?? plainGrid(table), before);
      if (before !== undefined) release(before);
      if (turn !== this.#turn) return;
      this.state.set({ kind: 'shown', ref, table });
      // What somebody changed while this was drawn was not heard.
      void this.#changed();
    } catch (error) {
      // What fails because the server goes away is done again when it is back.
      if (turn !== this.#turn || this.#options.life.aborted || isAway(error)) return;
      this.#asked = undefined;
      this.state.set({ kind: 'failed', ref, error });
    }
  }

  /** What is drawn now: what was changed a moment ago may not have been told yet. */
  async drawn(): Promise<Drawing | undefined> {
    if (this.#viewer === undefined || this.state.value?.kind !== 'shown') return this.drawing.value;
    try {
      return drawingOf(await this.#viewer.save());
    } catch {
      // A viewer whose table is gone says nothing; what it said last holds.
      return this.drawing.value;
    }
  }

  /** Draws on the table that is shown, or on the one that is being opened as soon as it is there. */
  async draw(drawing: Drawing): Promise<void> {
    if (this.state.value?.kind === 'shown') return this.#draw(drawing);
    this.#asked = drawing;
    await this.#showing;
  }

  /** What is drawn first takes a while; whatever was chosen until it is there is drawn before anything is shown. */
  async #drawAsked(drawing: Drawing, before: OpenedTable | undefined): Promise<void> {
    if (this.#asked === undefined) await this.#draw(drawing, before);
    while (this.#asked !== undefined) {
      const asked: Drawing = this.#asked;
      await this.#draw(asked);
      if (this.#asked === asked) this.#asked = undefined;
    }
  }

  /** `before` is the table that was shown when the drawing was made, where that is so. */
  async #draw({ config, plugin, pluginConfig, columnsConfig, title, columnTypes: known }: Drawing, before?: OpenedTable): Promise<void> {
    const table = this.#table;
    if (table === undefined || this.#viewer === undefined) return;
    const columnTypes = known ?? Object.fromEntries(before?.schema.map(({ name, type }) => [name, type]) ?? []);
    const fitted = applyView({ config, dialect: table.dialect, columnTypes }, table.schema);
    await this.#viewer.restore({
      ...EMPTY,
      ...fitted.config,
      table: table.tableId,
      plugin,
      title: title ?? this.state.value?.ref ?? null,
      ...(pluginConfig === undefined ? {} : { plugin_config: pluginConfig }),
      ...(columnsConfig === undefined ? {} : { columns_config: columnsConfig }),
    });
    this.dropped.set(fitted.dropped);
    this.drawing.set(drawingOf(await this.#viewer.save()));
  }

  async setTheme(theme: 'light' | 'dark'): Promise<void> {
    await this.#viewer?.restore({ theme: THEMES[theme] });
  }

  /** The way to the table is gone, and the views with it. On a new connection everything is made anew anyway. */
  #lost(turn: number, place: HTMLElement): void {
    const { client, life } = this.#options;
    const ref = this.state.value?.ref;
    this.#isSpoiled = true;
    if (turn === this.#turn && ref !== undefined && !life.aborted && client.state.kind === 'open') void this.show(ref, place);
  }

  async #attach(table: OpenedTable, place: HTMLElement): Promise<void> {
    if (this.#isSpoiled) await this.#discardViewer();
    if (this.#viewer === undefined) {
      this.#viewer = createViewer();
      this.#viewer.setAttribute('theme', THEMES[document.documentElement.dataset.theme === 'dark' ? 'dark' : 'light']);
      this.#viewer.addEventListener('perspective-config-update', () => void this.#changed());
      place.replaceChildren(this.#viewer);
      this.onReady(this.#viewer);
    }
    await this.#viewer.load(table.perspective);
  }

  /** Whatever a viewer says when it is told to end: it has ended. */
  async #discardViewer(): Promise<void> {
    const viewer = this.#viewer;
    this.#viewer = undefined;
    this.#isSpoiled = false;
    await viewer?.delete().catch(() => undefined);
  }

  async #changed(): Promise<void> {
    const viewer = this.#viewer;
    if (viewer === undefined || this.state.value?.kind !== 'shown') return;
    const next = drawingOf(await viewer.save());
    if (JSON.stringify(next) !== JSON.stringify(this.drawing.value)) this.drawing.set(next);
  }

  async #leave(): Promise<void> {
    this.#turn += 1;
    const table = this.#table;
    this.#table = undefined;
    // A viewer must not end while it begins, and has to free its view before the table goes.
    await this.#showing;
    await this.#discardViewer();
    if (table !== undefined) release(table);
  }
}

function isAway(error: unknown): boolean {
  return error instanceof CovistaError && (error.code === 'draining' || error.details.connectionLost === true || error.details.interrupted === true);
}

/** Ends the way to a table; what waits for an answer on it fails, and nobody needs that any more. */
function release({ perspective }: OpenedTable): void {
  perspective.terminate();
}

const THEMES = { light: 'Pro Light', dark: 'Pro Dark' } as const;

/** What a drawing that does not say otherwise has nothing of. */
const EMPTY: SavedViewConfig = { group_by: [], split_by: [], filter: [], sort: [], expressions: {}, aggregates: {} };

const plainGrid = ({ schema }: OpenedTable): Drawing => ({ config: { columns: schema.map(({ name }) => name) }, plugin: 'Datagrid' });

const VIEW_FIELDS = [
  'columns',
  'group_by',
  'split_by',
  'filter',
  'filter_op',
  'sort',
  'aggregates',
  'expressions',
  'windows',
  'group_by_depth',
  'group_rollup_mode',
] as const;

function drawingOf(saved: ViewerConfig): Drawing {
  const config = Object.fromEntries(
    VIEW_FIELDS.flatMap((field) => (saved[field] === undefined || saved[field] === null ? [] : [[field, saved[field]]])),
  );
  return { config, plugin: saved.plugin ?? 'Datagrid', pluginConfig: saved.plugin_config, columnsConfig: saved.columns_config };
}
