import { type AppliedView, applyView, type Client, CovistaError } from '../../index.ts';
import { Signal } from '../ui/signal.ts';
import { type Drawing, drawingOf, EMPTY, isSql, plainGrid, reads } from './drawing.ts';
import type { OpenedTable } from './open-table.ts';
import { createViewer, loadViewer, styleTitles, type Viewer, type ViewerConfig } from './viewer.ts';

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
  #place: HTMLElement | undefined;

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
    this.#place = place;
    const turn = this.#turn;
    const before = this.#table;
    this.state.set({ kind: 'opening', ref, again: before !== undefined });
    try {
      // The viewer is loaded while the server opens the table.
      const [opened, wanted] = await Promise.all([this.#open(ref, this.#asked ?? this.drawing.value), drawing, loadViewer()]);
      const table = reads(opened, this.#asked ?? wanted) ? opened : await this.#openInstead(opened, ref, this.#asked ?? wanted);
      // The viewer does one thing after the other.
      await previous;
      if (turn !== this.#turn || this.#options.life.aborted) return release(table);
      this.#table = table;
      await table.perspective.on_error(() => this.#lost(turn, place));
      const isConfiguring = before !== undefined && (await this.#isConfiguring());
      // A viewer asks all clients that it ever had for tables, also those that have ended; therefore each table has its own.
      if (before !== undefined) this.#isSpoiled = true;
      await this.#attach(table, place);
      await this.#drawAsked(turn, wanted ?? plainGrid(table), before);
      if (before !== undefined) release(before);
      if (turn !== this.#turn) return;
      this.state.set({ kind: 'shown', ref, table });
      // What somebody changed while this was drawn was not heard.
      void this.#changed();
      if (isConfiguring) void this.#viewer?.toggleConfig(true).catch(() => undefined);
      this.#drawLater(place);
    } catch (error) {
      // What fails because the server goes away is done again when it is back.
      if (turn !== this.#turn || this.#options.life.aborted || isAway(error)) return;
      this.#asked = undefined;
      this.state.set({ kind: 'failed', ref, error });
    }
  }

  /** What is drawn now: what was changed a moment ago may not have been told yet. */
  async drawn(): Promise<Drawing | undefined> {
    const { client } = this.#options;
    // Without a connection a viewer may wait for answers, and what it said last holds.
    if (this.#viewer === undefined || this.state.value?.kind !== 'shown' || client.state.kind !== 'open' || this.#isSpoiled)
      return this.drawing.value;
    try {
      return drawingOf(await this.#viewer.save(), this.#table);
    } catch {
      // A viewer whose table is gone says nothing; what it said last holds.
      return this.drawing.value;
    }
  }

  /** Draws on the table that is shown, or on the one that is being opened as soon as it is there; on another one where its engine cannot. */
  async draw(drawing: Drawing): Promise<void> {
    const state = this.state.value;
    const place = this.#place;
    if (state === undefined || place === undefined || state.kind === 'opening') {
      this.#asked = drawing;
      return this.#showing;
    }
    if (state.kind === 'shown' && reads(state.table, drawing)) {
      const before = this.drawing.value;
      return this.#inTurn(() => this.#draw(drawing)).catch((error: unknown) => {
        void this.show(state.ref, place, before);
        throw error;
      });
    }
    // Where no engine reads it, what is shown stays.
    if (state.kind === 'shown') release(await this.#open(state.ref, drawing));
    this.#asked = drawing;
    return this.show(state.ref, place);
  }

  /** The viewer does one thing after the other; what fails is its caller's concern alone. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#showing.then(work);
    this.#showing = done.catch(() => undefined);
    return done;
  }

  /** A table on an engine that reads the expressions of a drawing. */
  #open(ref: string, drawing: Drawing | undefined): Promise<OpenedTable> {
    const { client, datasetId } = this.#options;
    return client.table.open({ datasetId, ref, ...(isSql(drawing) ? { dialect: 'sql' as const } : {}) });
  }

  #openInstead(opened: OpenedTable, ref: string, drawing: Drawing | undefined): Promise<OpenedTable> {
    release(opened);
    return this.#open(ref, drawing);
  }

  /** What is drawn first takes a while; whatever was chosen until it is there is drawn before anything is shown. */
  async #drawAsked(turn: number, drawing: Drawing, before: OpenedTable | undefined): Promise<void> {
    if (this.#asked === undefined) await this.#draw(drawing, before);
    while (this.#asked !== undefined && turn === this.#turn && this.#table !== undefined && reads(this.#table, this.#asked)) {
      const asked: Drawing = this.#asked;
      await this.#draw(asked);
      if (this.#asked === asked) this.#asked = undefined;
    }
  }

  async #isConfiguring(): Promise<boolean> {
    return !this.#isSpoiled && (await this.#viewer?.save())?.settings === true;
  }

  /** What was chosen when it was too late for a table that reads it is drawn on another. */
  #drawLater(place: HTMLElement): void {
    const ref = this.state.value?.ref;
    if (this.#asked !== undefined && ref !== undefined) void this.show(ref, place);
  }

  /** `before` is the table that was shown when the drawing was made, where that is so. */
  async #draw({ config, dialect, plugin, pluginConfig, columnsConfig, title, columnTypes: known }: Drawing, before?: OpenedTable): Promise<void> {
    const table = this.#table;
    if (table === undefined || this.#viewer === undefined) return;
    const columnTypes = known ?? Object.fromEntries(before?.schema.map(({ name, type }) => [name, type]) ?? []);
    const fitted = applyView({ config, dialect: dialect ?? table.dialect, columnTypes }, table.schema);
    await this.#restore({
      ...EMPTY,
      ...fitted.config,
      table: table.tableId,
      plugin,
      title: title ?? this.state.value?.ref ?? null,
      ...(pluginConfig === undefined ? {} : { plugin_config: pluginConfig }),
      ...(columnsConfig === undefined ? {} : { columns_config: columnsConfig }),
    });
    styleTitles(this.#viewer);
    this.dropped.set(fitted.dropped);
    this.drawing.set(drawingOf(await this.#viewer.save(), this.#table));
  }

  /** A viewer that could not draw something draws nothing more. */
  async #restore(config: ViewerConfig): Promise<void> {
    try {
      await this.#viewer?.restore(config);
    } catch (error) {
      this.#isSpoiled = true;
      throw error;
    }
  }

  async setTheme(theme: 'light' | 'dark'): Promise<void> {
    await this.#viewer?.restore({ theme: THEMES[theme] });
  }

  /** The way to the table is gone, and the views with it. On a new connection everything is made anew anyway. */
  #lost(turn: number, place: HTMLElement): void {
    const { client, life } = this.#options;
    const ref = this.state.value?.ref;
    this.#isSpoiled = true;
    // What the viewer still waits for may never come.
    this.#showing = Promise.resolve();
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
    const next = drawingOf(await viewer.save(), this.#table);
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
