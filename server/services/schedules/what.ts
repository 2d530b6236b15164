import { createHash } from 'node:crypto';
import * as z from 'zod/v4';
import { columnsOfConfig, derivedColumns, privateView, type SavedView, sharedView } from '../../../protocol/documents/index.ts';
import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, Subject, VersionId } from '../../../protocol/ids.ts';
import { type ViewConfigInput, config as viewConfig } from '../../../protocol/operations/view.ts';
import { canonicalJson } from '../../shared/canonical.ts';
import { updatesOf } from '../../shared/stored-updates.ts';
import { type Scope, visibleSchema } from '../../storage/content-store.ts';
import type { DocumentStore, ScheduleSettings } from '../../storage/stores.ts';
import type { DocumentStates } from '../documents/compaction.ts';
import { datasetDocument } from '../documents/scope-documents.ts';
import type { RefResolver } from '../versioning/refs.ts';
import type { VersionReader } from '../versioning/version-reader.ts';

type Settings = Pick<ScheduleSettings, 'ref' | 'refKind' | 'savedView' | 'config' | 'engine'>;

/** What a schedule exports, as it is now. */
export interface ExportedWhat {
  readonly versionId: VersionId;
  /** Null: all rows. */
  readonly config: ViewConfigInput | null;
  readonly engine: ScheduleSettings['engine'];
}

export interface WhatOptions {
  readonly refs: Pick<RefResolver, 'pointer'>;
  readonly reader: Pick<VersionReader, 'record'>;
  readonly documents: Pick<DocumentStore, 'find' | 'updates'>;
  readonly states: Pick<DocumentStates, 'read'>;
}

/** Whose schedule it is, and what they see of the dataset. */
export interface WhatOwner {
  readonly subject: Subject;
  readonly scope: Scope;
}

/** Finds what settings mean for their owner now; says what is missing, since an export without a filter or a column is another one. */
export type FindWhat = (datasetId: DatasetId, owner: WhatOwner, settings: Settings) => Promise<ExportedWhat>;

/** A viewer of another version may keep fields that mean nothing here. */
const config = z.object(viewConfig.shape);

export function createFindWhat({ refs, reader, documents, states }: WhatOptions): FindWhat {
  const viewIn = async (document: string, id: string): Promise<unknown> => {
    const documentId = await documents.find(document);
    const views = documentId === undefined ? {} : (await states.read(updatesOf(await documents.updates(documentId)), ['views'])).views;
    return (views as Record<string, unknown> | undefined)?.[id];
  };

  const savedView = async (datasetId: DatasetId, { subject, scope }: WhatOwner, id: string): Promise<Pick<SavedView, 'config' | 'dialect'>> => {
    const shared = sharedView.safeParse(await viewIn(datasetDocument(datasetId, scope).name, id));
    if (shared.success) return shared.data;
    const own = privateView.safeParse(await viewIn(`user/${subject}`, id));
    if (own.success && own.data.datasetId === datasetId) return own.data;
    const message = `there is no saved view ${JSON.stringify(id)} of the owner, nor of those who see what they see`;
    throw new CovistaError('not_found', message, { savedView: id });
  };

  return async (datasetId, owner, settings) => {
    const { ref, refKind } = settings;
    const pointer = await refs.pointer(datasetId, ref);
    if (pointer.kind !== refKind) {
      const message = `${JSON.stringify(ref)} is a ${pointer.kind}; ${pointer.kind === 'branch' ? 'a branch moves, so say refKind "branch"' : 'say refKind "tag"'}`;
      throw new CovistaError('invalid_input', message, { field: 'refKind', ref, kind: pointer.kind });
    }
    const { versionId } = pointer;
    const saved = settings.savedView === null ? undefined : await savedView(datasetId, owner, settings.savedView);
    const given = saved?.config ?? settings.config;
    if (given === null) return { versionId, config: null, engine: settings.engine };
    const parsed = config.safeParse(given);
    if (!parsed.success)
      throw new CovistaError('invalid_input', `the view has what no view can have: ${z.prettifyError(parsed.error)}`, { field: 'config' });
    const schema = visibleSchema((await reader.record(datasetId, versionId)).schema, owner.scope);
    const dialect = saved?.dialect ?? 'exprtk';
    if (saved !== undefined) assertColumns(saved, new Set(schema.map(({ name }) => name)));
    else assertColumns({ config: { ...given } as SavedView['config'], dialect }, new Set(schema.map(({ name }) => name)));
    // Each engine reads expressions in one language; the other engine would take them for something else.
    const hasExpressions = Object.keys(parsed.data.expressions ?? {}).length > 0;
    const engine = saved === undefined || !hasExpressions ? settings.engine : dialect === 'sql' ? 'duckdb' : 'memory';
    return { versionId, config: parsed.data, engine };
  };
}

/** Expressions are left to the engine that reads them: in which language those of an inline view are is known there only. */
function assertColumns({ config, dialect }: Pick<SavedView, 'config' | 'dialect'>, known: ReadonlySet<string>): void {
  const { expressions: _, ...plain } = config;
  const made = new Set([...Object.keys(config.expressions ?? {}), ...derivedColumns(plain, dialect, known).map(({ name }) => name)]);
  const missing = columnsOfConfig(plain, dialect, known).filter((column) => !known.has(column) && !made.has(column));
  if (missing.length === 0) return;
  const names = missing.map((column) => JSON.stringify(column)).join(', ');
  throw new CovistaError('invalid_input', `the view names columns that are not there: ${names}`, { field: 'config', columns: missing });
}

/** Tells scopes apart: who has another one sees something else. */
export function scopeKey({ parts }: Scope): string {
  return createHash('sha256')
    .update(
      parts
        .map((part) => canonicalJson(part))
        .sort()
        .join('\n'),
    )
    .digest('hex');
}
