import type * as z from 'zod/v4';
import type { Subject } from '../ids.ts';
import type { Annotation, Reply } from './annotation.ts';
import { type Presence, presence } from './awareness.ts';
import { DOCUMENT_SHAPES, type MapShape } from './shape.ts';

/** The rule of SPEC.md that something breaks, where, and how in words. */
export interface Fault {
  readonly rule: string;
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What became of one entry; everything as plain JSON. */
export interface EntryChange {
  readonly kind: 'dataset' | 'user';
  /** Name of the map at the root. */
  readonly map: string;
  readonly id: string;
  /** undefined: there was none. What was removed earlier may be it, or be in it: an entry may return changed, a reply as it was. */
  readonly before: unknown;
  /** undefined: it was removed. */
  readonly after: unknown;
  /** Who made the change. */
  readonly subject: Subject;
}

/** The map of that name in a document of that kind; undefined when there is none. */
export function mapShape(kind: EntryChange['kind'], map: string): MapShape | undefined {
  const shapes = DOCUMENT_SHAPES[kind];
  return Object.hasOwn(shapes, map) ? shapes[map] : undefined;
}

/** The first rule that a change of one entry breaks; `before` is taken to have been valid. */
export function entryFault(change: EntryChange): Fault | undefined {
  const { kind, map, id, after } = change;
  const shape = mapShape(kind, map);
  if (shape === undefined) return { rule: 'DOC2', path: [map], message: `a document of a ${kind} has no "${map}"` };
  if (after === undefined) return undefined;
  return keyFault(shape, map, id) ?? shapeFault(shape, [map, id], after) ?? authorFault(change);
}

/** Whether a saved view was changed and names somebody else as who changed it last. */
export function isUnsigned({ map, before, after, subject }: EntryChange): boolean {
  if (map !== 'views' || before === undefined || after === undefined || same(before, after)) return false;
  const { author, updatedBy = author } = after as Entry;
  return updatedBy !== subject;
}

/** The rule that a number of entries breaks. */
export function countFault(kind: EntryChange['kind'], map: string, entries: number): Fault | undefined {
  const { entriesMax = 0 } = mapShape(kind, map) ?? {};
  return entries <= entriesMax ? undefined : { rule: 'DOC3', path: [map], message: `must have at most ${entriesMax} entries` };
}

/** The rule that an awareness state breaks; null, for somebody who left, breaks none. */
export function presenceFault(state: unknown, subject: Subject): Fault | undefined {
  if (state === null) return undefined;
  const parsed = presence.safeParse(state);
  if (!parsed.success) return issueFault('DOC9', [], parsed.error);
  const claimed = (parsed.data as Presence).user?.subject;
  if (claimed === undefined || claimed === subject) return undefined;
  return { rule: 'DOC9', path: ['user', 'subject'], message: 'must be the subject of the token' };
}

function keyFault(shape: MapShape, map: string, id: string): Fault | undefined {
  const parsed = shape.key.safeParse(id);
  return parsed.success ? undefined : issueFault('DOC3', [map, id.slice(0, 100)], parsed.error);
}

function shapeFault(shape: MapShape, path: Fault['path'], entry: unknown): Fault | undefined {
  const parsed = shape.entry.safeParse(entry);
  return parsed.success ? undefined : issueFault(shape.rule, path, parsed.error);
}

function issueFault(rule: string, path: Fault['path'], error: z.ZodError): Fault {
  const issue = error.issues[0];
  const keys = (issue?.path ?? []).filter((key) => typeof key !== 'symbol');
  return { rule, path: [...path, ...keys], message: issue?.message ?? 'is not valid' };
}

/** Fields that stay as they were made. */
const FIXED = { views: ['author', 'createdAt', 'datasetId'], annotations: ['author', 'createdAt', 'anchor'], preferences: [] };

function authorFault(change: EntryChange): Fault | undefined {
  const path = [change.map, change.id];
  const before = change.before as Entry | undefined;
  const after = change.after as Entry;
  if (change.map === 'preferences') return undefined;
  const named = namedAuthorFault({ before, after, path, subject: change.subject });
  if (named !== undefined) return named;
  const moved = before && FIXED[change.map as keyof typeof FIXED].find((field) => !same(before[field], after[field]));
  if (moved !== undefined) return { rule: 'DOC7', path: [...path, moved], message: 'must stay as it was made' };
  return change.map === 'annotations' ? threadFault(change, path) : undefined;
}

/** What the kinds of entries that have an author have in common, and any other field. */
interface Entry {
  readonly author: Subject;
  readonly updatedBy?: Subject;
  readonly [field: string]: unknown;
}

interface Named {
  readonly before: Entry | undefined;
  readonly after: Entry;
  readonly path: Fault['path'];
  readonly subject: Subject;
}

function namedAuthorFault({ before, after, path, subject }: Named): Fault | undefined {
  if (before === undefined && after.author !== subject) return notYou([...path, 'author']);
  const { updatedBy } = after;
  return updatedBy === undefined || updatedBy === subject || updatedBy === before?.updatedBy ? undefined : notYou([...path, 'updatedBy']);
}

const notYou = (path: Fault['path']): Fault => ({ rule: 'DOC6', path, message: 'must be the subject of the token that makes the change' });

function threadFault({ before, after, subject }: EntryChange, path: Fault['path']): Fault | undefined {
  const { replies = [], resolved = null } = (before ?? {}) as Partial<Annotation>;
  const next = after as Annotation;
  const known = new Map(replies.map((reply) => [reply.id, reply]));
  for (const [index, reply] of next.replies.entries()) {
    const fault = replyFault({ before: known.get(reply.id), after: reply, path: [...path, 'replies', index], subject });
    if (fault !== undefined) return fault;
  }
  if (next.resolved === null || same(next.resolved, resolved) || next.resolved.by === subject) return undefined;
  return notYou([...path, 'resolved', 'by']);
}

interface ReplyChange {
  readonly before: Reply | undefined;
  readonly after: Reply;
  readonly path: Fault['path'];
  readonly subject: Subject;
}

function replyFault({ before, after, path, subject }: ReplyChange): Fault | undefined {
  if (before === undefined) return after.author === subject ? undefined : notYou([...path, 'author']);
  if (before.author !== after.author || before.at !== after.at) return { rule: 'DOC7', path, message: 'must keep its author and time' };
  if (same(before, after) || after.author === subject) return undefined;
  return { rule: 'DOC7', path: [...path, 'body'], message: 'is changed by its author only' };
}

/** Equality of plain JSON, whatever the order in which fields were written. */
function same(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  const names = Object.keys(one);
  if (Array.isArray(one) !== Array.isArray(other) || names.length !== Object.keys(other).length) return false;
  return names.every((name) => Object.hasOwn(other, name) && same((one as Record<string, unknown>)[name], (other as Record<string, unknown>)[name]));
}
