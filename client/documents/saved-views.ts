import type * as z from 'zod/v4';
import type { PrivateView, SavedView, SharedView, sharedView } from '../../protocol/documents/saved-view.ts';
import { CovistaError } from '../../protocol/errors.ts';
import type { DatasetId } from '../../protocol/ids.ts';
import { type AppliedView, applyView, type ColumnsOfTable, columnTypesOf } from './apply-view.ts';
import { Entries } from './entries.ts';
import type { DocumentSession } from './session.ts';

export type SavedViewEntry = SavedView & { readonly id: string; readonly scope: 'shared' | 'private' };

type Chosen = Pick<z.input<typeof sharedView>, 'description' | 'plugin' | 'pluginConfig' | 'columnsConfig' | 'dialect' | 'ref' | 'versionId'>;

export interface NewSavedView extends Partial<Chosen> {
  readonly name: string;
  /** A Perspective view config. */
  readonly config: SharedView['config'];
  /** The columns of the table that the view is made on, so that it can be told later which of them are of another type. */
  readonly columns?: ColumnsOfTable;
}

export type SavedViewChanges = Partial<NewSavedView>;

/** The views that are saved in one document: those that a dataset's readers share, or those of one person on a dataset. */
export class SavedViews {
  readonly scope: 'shared' | 'private';
  readonly #entries: Entries;
  readonly #datasetId: DatasetId | undefined;
  /** Leaves the document, as the `close` of the document itself does. */
  readonly close: () => void;

  constructor(session: DocumentSession, datasetId: DatasetId | undefined, close: () => void) {
    this.close = close;
    this.#entries = new Entries(session, 'views');
    this.#datasetId = datasetId;
    this.scope = datasetId === undefined ? 'shared' : 'private';
  }

  /** By name, then in the order in which they were made. */
  list(): SavedViewEntry[] {
    const entries = this.#entries.all().flatMap(([id, view]) => this.#entry(id, view as SavedView | undefined) ?? []);
    return entries.sort((one, other) => one.name.localeCompare(other.name) || one.createdAt.localeCompare(other.createdAt));
  }

  get(id: string): SavedViewEntry | undefined {
    return this.#entry(id, this.#entries.get(id) as SavedView | undefined);
  }

  create(view: NewSavedView): SavedViewEntry {
    const { columns, dialect = 'exprtk', plugin = 'Datagrid', ref = 'main', ...rest } = view;
    const at = new Date().toISOString();
    const columnTypes = columns && columnTypesOf(view.config, dialect, columns);
    const made = { author: this.#entries.subject, createdAt: at, updatedAt: at, datasetId: this.#datasetId };
    return this.#present(this.#entries.create({ ...rest, dialect, plugin, ref, columnTypes, ...made }));
  }

  /** Changes what is given; a field that is given as undefined is removed. */
  update(id: string, changes: SavedViewChanges): SavedViewEntry {
    const { columns, ...rest } = changes;
    const before = this.#present(id);
    const { config, dialect } = { ...before, ...changes } as SavedView;
    const types = columns === undefined ? {} : { columnTypes: columnTypesOf(config, dialect, columns) };
    this.#entries.change(id, { ...rest, ...types, updatedAt: new Date().toISOString(), updatedBy: this.#entries.subject });
    return this.#present(id);
  }

  rename(id: string, name: string): SavedViewEntry {
    return this.update(id, { name });
  }

  /** Answers whether there was such a view. */
  remove(id: string): boolean {
    return this.get(id) !== undefined && this.#entries.remove(id);
  }

  /** Tells the list after every change, until the function that it returns is called. */
  observe(listener: (views: SavedViewEntry[]) => void): () => void {
    return this.#entries.observe(() => listener(this.list()));
  }

  /** A view, or that of an id, on a table with these columns; what does not fit is left out and reported. */
  apply(view: SavedView | string, columns: ColumnsOfTable): AppliedView {
    return applyView(typeof view === 'string' ? this.#present(view) : view, columns);
  }

  #present(id: string): SavedViewEntry {
    const entry = this.get(id);
    if (entry === undefined) throw new CovistaError('not_found', `there is no saved view ${id}`, { id });
    return entry;
  }

  #entry(id: string, view: SavedView | undefined): SavedViewEntry | undefined {
    if (view === undefined || (this.#datasetId !== undefined && (view as PrivateView).datasetId !== this.#datasetId)) return undefined;
    return { ...view, id, scope: this.scope };
  }
}
