import { isDeepStrictEqual } from 'node:util';
import { type Annotation, countFault, mapShape, type SharedView } from '../../../protocol/documents/index.ts';
import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { assert, present } from '../../shared/assert.ts';
import {
  type ContentStore,
  isUnrestricted,
  isWhole,
  type Scope,
  schemaOf,
  showing,
  showsAllRows,
  visibleParts,
} from '../../storage/content-store.ts';
import type { Column, DocumentStore, DocumentTarget, Page, Provenance, PublishedEntry, VersionStore } from '../../storage/stores.ts';
import type { Access } from '../access/access.ts';
import type { RefResolver } from '../versioning/refs.ts';
import type { VersionReader } from '../versioning/version-reader.ts';
import type { WithDocument } from './document-request.ts';
import { textsOf } from './entry-texts.ts';
import { hiddenNameIn, unshowable, visibleNames } from './hidden-names.ts';
import type { LiveDocument } from './live-document.ts';
import { type Named, namedByAnnotation, namedByView } from './named.ts';
import { plainEntry, sharedEntry, whenStored } from './restoring.ts';
import type { StoredScope } from './scope-documents.ts';

/** Those who see less of a dataset and have opened their document. */
export interface NarrowerScope {
  readonly scopeId: string;
  /** The name of their document. */
  readonly name: string;
  /** Columns that a grant of theirs hides. */
  readonly hiddenColumns: string[];
  /** Columns by which a grant of theirs picks rows. */
  readonly filteredBy: string[];
  readonly updatedAt: string;
}

export interface Publications {
  /** Nothing for those who do not see everything themselves. */
  scopes(access: Access, page: Page & { readonly after?: string | undefined }): Promise<NarrowerScope[]>;
  /** Copies an entry to those who see less; `unprocessable_data` where it names, or may name, what they may not see. */
  publish(access: Access, entry: PublishedEntry, provenance: Provenance, signal: AbortSignal): Promise<PublishedEntry>;
  /** Takes it from them again. */
  withdraw(access: Access, entry: PublishedEntry, provenance: Provenance): Promise<PublishedEntry>;
}

/** What is asked of the data itself. */
export interface PublicationSources {
  readonly refs: Pick<RefResolver, 'head'>;
  readonly reader: Pick<VersionReader, 'record' | 'scoped'>;
  readonly versions: Pick<VersionStore, 'columnForms'>;
  readonly content: Pick<ContentStore, 'count'>;
}

export interface PublicationsOptions extends PublicationSources {
  readonly store: DocumentStore;
  readonly limits: Pick<Limits, 'documentColumnFormsMax'>;
  readonly withDocument: WithDocument;
}

export function createPublications(options: PublicationsOptions): Publications {
  const { store, withDocument } = options;

  const narrower = async ({ datasetId, scope }: Access, scopeId: string): Promise<DocumentTarget & { readonly scope: StoredScope }> => {
    assert(isUnrestricted(scope), 'a permission to write comes with an unrestricted scope');
    const name = nameOf(datasetId, scopeId);
    const stored = await store.scopeOf(name);
    if (stored === undefined) throw new CovistaError('not_found', `dataset ${datasetId} has no document of a scope ${scopeId}`, { scopeId });
    return { name, datasetId, scope: stored as StoredScope };
  };

  const read = (datasetId: DatasetId, { map, id }: PublishedEntry): Promise<unknown> => {
    const target = { name: `dataset/${datasetId}`, datasetId, scope: null };
    return withDocument({ target, kind: 'dataset' }, async (document) => {
      await whenStored(document);
      const entry = plainEntry(document.doc.getMap(map), id);
      if (entry === undefined) throw new CovistaError('not_found', `the document has no ${id} in ${map}`, { map, id });
      return entry;
    });
  };

  return {
    scopes: async ({ datasetId, scope }, page) => {
      // What is hidden from others may be hidden from the caller too.
      if (!isUnrestricted(scope)) return [];
      const documents = await store.scoped(datasetId, { ...page, after: page.after === undefined ? undefined : nameOf(datasetId, page.after) });
      return documents.map(({ name, updatedAt, scope: stored }) => {
        const { parts } = stored as StoredScope;
        const hiddenColumns = [...new Set(parts.flatMap(({ mask }) => mask?.hidden ?? []))].sort();
        const filteredBy = [...new Set(parts.flatMap(({ rows }) => rows?.columns.map((column) => column.name) ?? []))].sort();
        return { scopeId: name.slice(name.lastIndexOf('/') + 1), name, hiddenColumns, filteredBy, updatedAt };
      });
    },

    publish: async (access, published, provenance, signal) => {
      const { datasetId } = access;
      const target = await narrower(access, published.scopeId);
      const entry = await read(datasetId, published);
      const shown = await shownOf({ ...options, datasetId, scope: target.scope, signal }, published, entry);
      await withDocument({ target, kind: 'dataset' }, (document) => put(document, published, shown));
      return store.recordPublished(datasetId, published, provenance);
    },

    withdraw: async (access, published, provenance) => {
      const target = await narrower(access, published.scopeId);
      await withDocument({ target, kind: 'dataset' }, async (document) => {
        document.change((doc) => doc.getMap(published.map).delete(published.id));
        await whenStored(document);
      });
      return store.recordPublished(access.datasetId, published, provenance);
    },
  };
}

const nameOf = (datasetId: DatasetId, scopeId: string): string => `dataset/${datasetId}/${scopeId}`;

async function put(document: LiveDocument, { map, id }: PublishedEntry, entry: unknown): Promise<void> {
  const entries = document.doc.getMap(map);
  const fault = entries.has(id) ? undefined : countFault('dataset', map, entries.size + 1);
  if (fault !== undefined) throw new CovistaError('conflict', `${map} ${fault.message}`, { rule: fault.rule });
  if (!isDeepStrictEqual(plainEntry(entries, id), entry)) {
    if (document.isTooLarge(Buffer.byteLength(JSON.stringify(entry)))) {
      throw new CovistaError(
        'payload_too_large',
        'the document of those who see less has no room for this; try again, since what was removed may go first',
      );
    }
    const shape = present(mapShape('dataset', map), 'the shape of a map that the protocol names');
    document.change(() => entries.set(id, sharedEntry(shape, entry)));
  }
  await whenStored(document);
}

interface Checking extends PublicationSources {
  readonly limits: Pick<Limits, 'documentColumnFormsMax'>;
  readonly datasetId: DatasetId;
  /** Of those who are to see the entry. */
  readonly scope: Scope;
  readonly signal: AbortSignal;
}

/** What is copied of an entry; refuses what names a column, a row or a value that the scope does not show in the newest version of main, or may name one, and in texts a column that it hides in any. */
async function shownOf(checking: Checking, { map, id }: PublishedEntry, entry: unknown): Promise<unknown> {
  const { refs, reader, datasetId, scope } = checking;
  const head = await refs.head(datasetId, 'main');
  const schema = head === undefined ? [] : (await reader.record(datasetId, head.versionId)).schema;
  const visible = visibleNames(schema, scope);
  const seesAllRows = visible.size > 0 && showsAllRows(schema, scope) && isWholeIn(schema, scope);
  const shown = map === 'views' && !seesAllRows ? withoutDrawing(entry as SharedView) : entry;
  const all = new Set(schema.map(({ name }) => name));
  const named = map === 'views' ? namedByView(entry as SharedView, all) : namedByAnnotation(entry as Annotation);
  const column = named.columns.find((name) => !visible.has(name)) ?? (await hiddenNameIn([id, ...textsOf(map, shown)], { ...checking, visible }));
  if (column !== undefined) throw unshowable(`it names the column ${JSON.stringify(column)}`, { column });
  if (seesAllRows) return shown;
  if (named.doubt !== undefined) throw unshowable(`${named.doubt} may tell of rows`, {});
  if (head !== undefined && visible.size > 0) await checkValues({ ...checking, schema, versionId: head.versionId }, named);
  return shown;
}

/** Whether what is visible of a row is so in every row. */
function isWholeIn(schema: readonly Column[], scope: Scope): boolean {
  const parts = visibleParts(schema, scope);
  return schemaOf(parts, schema).every(({ name }) => isWhole(parts, name));
}

/** Plugins keep values of rows in what is their own, such as extremes of a column and groups that were opened, in forms that only they know. */
function withoutDrawing({ pluginConfig: _plugin, columnsConfig: _columns, ...view }: SharedView): SharedView {
  return view;
}

async function checkValues(
  checking: Checking & { readonly schema: readonly Column[]; readonly versionId: VersionId },
  { values }: Named,
): Promise<void> {
  const { reader, content, datasetId, versionId, scope, schema, signal } = checking;
  for (const value of values) {
    const rows = showing(schema, scope, value);
    if (rows !== undefined && (await content.count(await reader.scoped({ datasetId, versionId, scope: rows }), { signal })) > 0) continue;
    throw unshowable(`no row that they see has ${JSON.stringify(value)}`, { value });
  }
}
