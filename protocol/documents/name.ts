import * as z from 'zod/v4';
import { type DatasetId, datasetId, type Subject } from '../ids.ts';
import { defaultLimits } from '../limits.ts';

/** What a document is about: a dataset, shared by those who see the same of it (`scopeId`: by those who see less than the caller), or one person. */
export type DocumentSubject =
  | { readonly kind: 'dataset'; readonly datasetId: DatasetId; readonly scopeId?: string }
  | { readonly kind: 'user'; readonly subject: Subject };

const DATASET = /^dataset\/([1-9]\d{0,9})(?:\/([0-9a-f]{32}))?$/;
const USER = /^user\/([^\p{Cc}\p{Cs}]+)$/u;

/** What a name means; undefined when it means nothing. The subject stands in it as it is in tokens, slashes included. */
export function parseDocumentName(name: string): DocumentSubject | undefined {
  const [, number, scopeId] = DATASET.exec(name) ?? [];
  const id = datasetId.safeParse(Number(number));
  if (id.success) return { kind: 'dataset', datasetId: id.data, ...(scopeId !== undefined && { scopeId }) };
  const subject = USER.exec(name)?.[1];
  return subject === undefined || subject.length > defaultLimits.subjectCharsMax ? undefined : { kind: 'user', subject };
}

export const documentName = z
  .string()
  .refine((name) => parseDocumentName(name) !== undefined, 'must be "dataset/DATASET_ID", "dataset/DATASET_ID/SCOPE_ID" or "user/SUBJECT"')
  .describe('dataset/{datasetId}, dataset/{datasetId}/{scopeId} or user/{subject}');
