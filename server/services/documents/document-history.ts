import { DOCUMENT_SHAPES, mapShape } from '../../../protocol/documents/index.ts';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { throwIfAborted } from '../../shared/abort.ts';
import type { PagedEntry } from '../../shared/document-entries.ts';
import { updatesOf } from '../../shared/stored-updates.ts';
import { isUnrestricted } from '../../storage/content-store.ts';
import type { DocumentSnapshotRecord, DocumentStore, DocumentTarget, Page, Provenance, RestoredSnapshot } from '../../storage/stores.ts';
import type { DocumentStates } from './compaction.ts';
import { type DocumentRequest, resolve, type WithDocument } from './document-request.ts';
import { HistoryTurns } from './history-turns.ts';
import { type PlainEntries, restoreEntries } from './restoring.ts';

export interface SnapshotPage extends Page {
  readonly snapshotId: number;
  readonly map: string;
  /** The id behind which the page begins. */
  readonly after?: string | undefined;
}

/** What documents were. Whatever takes a whole state waits for its turn, or is `rate_limited`, until the signal aborts. */
export interface DocumentHistory {
  /** Keeps the state that is committed now; `not_found` where the document was never opened. */
  saveSnapshot(request: DocumentRequest, label: string, provenance: Provenance, signal: AbortSignal): Promise<DocumentSnapshotRecord>;
  snapshots(request: DocumentRequest, page: Page & { readonly before?: number | undefined }): Promise<DocumentSnapshotRecord[]>;
  /** Entries of a snapshot by id; `not_found` where the document has no such snapshot. */
  readSnapshot(request: DocumentRequest, page: SnapshotPage, signal: AbortSignal): Promise<readonly PagedEntry[]>;
  /** Makes the entries what they were in a snapshot, after keeping what they are, unless that is the same. */
  restoreSnapshot(request: DocumentRequest, snapshotId: number, provenance: Provenance, signal: AbortSignal): Promise<RestoredSnapshot>;
}

export interface HistoryOptions {
  readonly store: DocumentStore;
  readonly states: DocumentStates;
  readonly limits: Pick<
    Limits,
    'documentRestoreSnapshotsMax' | 'documentHistoryAtOnceMax' | 'documentHistoryQueueMax' | 'documentHistoryPerSubjectMax'
  >;
  readonly withDocument: WithDocument;
}

export function createHistory({ store, states, limits, withDocument }: HistoryOptions): DocumentHistory {
  const turns = new HistoryTurns(limits);

  const idOf = async ({ name }: DocumentTarget, request: DocumentRequest): Promise<string> => {
    const documentId = await store.find(name);
    if (documentId === undefined) throw new CovistaError('not_found', 'there is no such document yet: nobody has opened it', { name: request.name });
    return documentId;
  };

  const stateOf = async (documentId: string, snapshotId: number): Promise<Uint8Array> => {
    const state = await store.snapshotState(documentId, snapshotId);
    if (state === undefined) throw new CovistaError('not_found', `there is no such snapshot of the document: ${snapshotId}`, { snapshotId });
    return state;
  };

  const committedState = async (documentId: string): Promise<Uint8Array> => states.compact(updatesOf(await store.updates(documentId)));

  return {
    saveSnapshot: async (request, label, provenance, signal) => {
      const documentId = await idOf((await resolve(request, store)).target, request);
      const makeState = (): Promise<Uint8Array> => committedState(documentId);
      return turns.run(request.actor.subject, signal, () => store.addSnapshot(documentId, { label, makeState }, provenance));
    },

    snapshots: async (request, page) => {
      const { target } = await resolve(request, store);
      const documentId = await store.find(target.name);
      const taken = documentId === undefined ? [] : await store.snapshots(documentId, page);
      // Those who see everything wrote the labels of such a document, and nobody has judged what these name.
      const isLabelled = target.scope === null || (request.access !== undefined && isUnrestricted(request.access.scope));
      return isLabelled ? taken : taken.map((snapshot) => ({ ...snapshot, label: null }));
    },

    readSnapshot: async (request, { snapshotId, map, limit, after = '' }, signal) => {
      const { target, kind } = await resolve(request, store);
      if (mapShape(kind, map) === undefined) throw new CovistaError('invalid_input', `a document of a ${kind} has no ${map}`, { map });
      const documentId = await idOf(target, request);
      return turns.run(request.actor.subject, signal, async () => {
        const updates = [await stateOf(documentId, snapshotId)];
        // Those who see less have what was published to them, and no more of it than is still.
        const unchangedIn = target.scope === null ? undefined : updatesOf(await store.updates(documentId));
        throwIfAborted(signal);
        return states.page({ updates, map, after, limit, unchangedIn });
      });
    },

    restoreSnapshot: async (request, snapshotId, provenance, signal) => {
      const resolved = await resolve(request, store);
      if (!resolved.canWrite) throw new CovistaError('forbidden', `you may read ${request.name} but not change it`, { name: request.name });
      const documentId = await idOf(resolved.target, request);
      const keptMax = limits.documentRestoreSnapshotsMax;
      const keep = async (): Promise<void> =>
        store.addRestoreSnapshot(documentId, { state: await committedState(documentId), restorer: provenance.actor, keptMax });
      // In one turn from beginning to end, so that none is refused when half of it is done.
      return turns.run(request.actor.subject, signal, async () => {
        const maps = Object.keys(DOCUMENT_SHAPES[resolved.kind]);
        const wanted = (await states.read([await stateOf(documentId, snapshotId)], maps)) as PlainEntries;
        throwIfAborted(signal);
        const counts = await withDocument(resolved, (document) => restoreEntries(document, { kind: resolved.kind, wanted, keep }));
        return store.recordRestored(documentId, { snapshotId, ...counts }, provenance);
      });
    },
  };
}
