import * as z from 'zod/v4';
import { defaultLimits } from '../limits.ts';
import { annotation } from './annotation.ts';
import { entryId, isFieldName } from './fields.ts';
import { json } from './json.ts';
import type { DocumentSubject } from './name.ts';
import { privateView, sharedView } from './saved-view.ts';

/** Which shared type each field of an entry is; every field that is not listed is plain JSON. */
export type SharedFields = Readonly<Record<string, 'text' | 'array'>>;

/** One of the maps at the root of a document. */
export interface MapShape {
  /** The rule of SPEC.md that says what an entry looks like. */
  readonly rule: string;
  readonly entriesMax: number;
  readonly key: z.ZodType<string>;
  /** The entry as plain JSON: a map as an object, a text as a string, an array as a list. */
  readonly entry: z.ZodType;
  /** null: an entry is plain JSON itself; otherwise it is a Y.Map in which these fields are shared types. */
  readonly shared: SharedFields | null;
}

const entryKey = entryId;
const views = { rule: 'DOC4', entriesMax: defaultLimits.savedViewsMax, key: entryKey, shared: {} };

/** The preferences of a person: whatever their programs keep, by a name that they choose. */
const preferences: MapShape = {
  rule: 'DOC8',
  entriesMax: defaultLimits.preferencesMax,
  key: z
    .string()
    .regex(/^[A-Za-z0-9._/-]{1,100}$/, 'must be 1 to 100 letters, digits and . _ / -')
    .refine(isFieldName, 'must not be "__proto__"'),
  entry: json(defaultLimits.preferenceBytesMax),
  shared: null,
};

const annotations: MapShape = {
  rule: 'DOC5',
  entriesMax: defaultLimits.annotationsMax,
  key: entryKey,
  entry: annotation,
  shared: { body: 'text', replies: 'array' },
};

/** Every root type of a document by its kind; all of them are Y.Maps, and there are no others. */
export const DOCUMENT_SHAPES: Readonly<Record<DocumentSubject['kind'], Readonly<Record<string, MapShape>>>> = {
  dataset: { views: { ...views, entry: sharedView }, annotations },
  user: { views: { ...views, entry: privateView }, preferences },
};
