import { type DocumentSubject, parseDocumentName } from '../../../protocol/documents/index.ts';
import { CovistaError } from '../../../protocol/errors.ts';
import { assert } from '../../shared/assert.ts';
import type { DocumentStore, DocumentTarget } from '../../storage/stores.ts';
import type { Access } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import type { LiveDocument } from './live-document.ts';
import { datasetDocument, type StoredScope, showsAtLeast } from './scope-documents.ts';

/** A document by its name, for somebody. */
export interface DocumentRequest {
  readonly name: string;
  readonly actor: Actor;
  /** What they may do on the dataset; undefined where the document is a person's. */
  readonly access: Access | undefined;
}

export interface Resolved {
  readonly target: DocumentTarget;
  readonly kind: DocumentSubject['kind'];
  readonly canWrite: boolean;
  /** Sees more than those whose document it is, who must learn nothing from them. */
  readonly isVisitor: boolean;
}

/** Opens a document for as long as some work with it takes. */
export type WithDocument = <Result>(
  resolved: Pick<Resolved, 'target' | 'kind'>,
  work: (document: LiveDocument) => Promise<Result>,
) => Promise<Result>;

/** Which document a name means for somebody; `not_found` for the document of another person, and of who sees what they do not. */
export async function resolve(request: DocumentRequest, store: Pick<DocumentStore, 'scopeOf'>): Promise<Resolved> {
  const { name, actor, access } = request;
  const subject = parseDocumentName(name);
  if (subject?.kind === 'dataset') {
    assert(access !== undefined, 'the gateway asked for a permission on the dataset');
    const target = datasetDocument(subject.datasetId, access.scope);
    if (subject.scopeId === undefined || name === target.name) {
      return { kind: 'dataset', target, canWrite: access.permission !== 'read', isVisitor: false };
    }
    return { kind: 'dataset', target: await narrower(request, access, store), canWrite: false, isVisitor: true };
  }
  if (subject?.subject !== actor.subject) throw noDocument(name);
  return { kind: 'user', target: { name, datasetId: null, scope: null }, canWrite: true, isVisitor: false };
}

/** Whether the name of a dataset's document still means the same to somebody, to do the same with it. */
export function isSameFor(then: Access, now: Access): boolean {
  const mayWrite = ({ permission }: Access): boolean => permission !== 'read';
  const nameFor = ({ datasetId, scope }: Access): string => datasetDocument(datasetId, scope).name;
  return mayWrite(then) === mayWrite(now) && nameFor(then) === nameFor(now);
}

/** The document of those who see less. Whether there is one that the caller may not open cannot be told from whether there is none. */
async function narrower({ name }: DocumentRequest, { datasetId, scope }: Access, store: Pick<DocumentStore, 'scopeOf'>): Promise<DocumentTarget> {
  const stored = (await store.scopeOf(name)) as StoredScope | undefined;
  if (stored === undefined || !showsAtLeast(scope, stored)) throw noDocument(name);
  return { name, datasetId, scope: stored };
}

const noDocument = (name: string): CovistaError => new CovistaError('not_found', `there is no document ${name}`, { name });
