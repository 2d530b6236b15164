import * as Y from 'yjs';
import type { Anchor, Annotation, Reply } from '../../protocol/documents/annotation.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { randomKey } from '../values.ts';
import { Entries } from './entries.ts';
import type { DocumentSession } from './session.ts';

export type AnnotationEntry = Annotation & { readonly id: string };

/** Which annotations are wanted; what is not given is not asked for. */
export interface AnnotationQuery {
  /** Those that concern a version: of it, or of no version in particular. */
  readonly versionId?: number;
  readonly rowKey?: Anchor['rowKey'];
  readonly row?: number;
  readonly column?: string;
  readonly viewId?: string;
  readonly resolved?: boolean;
}

/** The annotations of a dataset, each with a thread of replies. */
export class Annotations {
  readonly #entries: Entries;

  constructor(session: DocumentSession) {
    this.#entries = new Entries(session, 'annotations');
  }

  /** In the order in which they were made. */
  list(query: AnnotationQuery = {}): AnnotationEntry[] {
    const entries = this.#entries.all().map(([id, annotation]) => ({ ...(annotation as Annotation), id }));
    return entries.filter((entry) => answers(entry, query)).sort((one, other) => one.createdAt.localeCompare(other.createdAt));
  }

  get(id: string): AnnotationEntry | undefined {
    const annotation = this.#entries.get(id) as Annotation | undefined;
    return annotation && { ...annotation, id };
  }

  /** On the dataset, or on what the anchor names of it. */
  add(body: string, anchor: Anchor = {}): AnnotationEntry {
    const made = { anchor, body, replies: [], author: this.#entries.subject, createdAt: new Date().toISOString(), resolved: null };
    return this.#present(this.#entries.create(made, { body: new Y.Text(body), replies: new Y.Array() }));
  }

  /** The text itself, to bind an editor to. */
  body(id: string): Y.Text {
    const body = this.#field(id, 'body');
    if (body instanceof Y.Text) return body;
    throw new CovistaError('not_found', `annotation ${id} has no text`, { id });
  }

  /** Changes the text by as little as it takes, so that what others write in it meanwhile stays. */
  edit(id: string, body: string): AnnotationEntry {
    const text = this.body(id);
    this.#entries.change(id, { updatedAt: new Date().toISOString() }, () => rewrite(text, body), { body });
    return this.#present(id);
  }

  reply(id: string, body: string): Reply {
    const reply: Reply = { id: randomKey(), author: this.#entries.subject, body, at: new Date().toISOString() };
    this.#changeReplies(id, (replies) => replies.push([reply]), [...this.#present(id).replies, reply]);
    return reply;
  }

  editReply(id: string, replyId: string, body: string): Reply {
    const { replies } = this.#present(id);
    const index = indexOf(replies, replyId);
    const reply = { ...replies[index], body, editedAt: new Date().toISOString() } as Reply;
    const edit = (array: Y.Array<Reply>): void => {
      array.delete(index);
      array.insert(index, [reply]);
    };
    this.#changeReplies(id, edit, replies.with(index, reply));
    return reply;
  }

  removeReply(id: string, replyId: string): void {
    const { replies } = this.#present(id);
    const index = indexOf(replies, replyId);
    this.#changeReplies(id, (array) => array.delete(index), replies.toSpliced(index, 1));
  }

  resolve(id: string): AnnotationEntry {
    this.#entries.change(id, { resolved: { by: this.#entries.subject, at: new Date().toISOString() } });
    return this.#present(id);
  }

  reopen(id: string): AnnotationEntry {
    this.#entries.change(id, { resolved: null });
    return this.#present(id);
  }

  /** With its replies; answers whether there was such an annotation. */
  remove(id: string): boolean {
    return this.#entries.remove(id);
  }

  /** Tells the annotations that answer the query after every change, until the function that it returns is called. */
  observe(listener: (annotations: AnnotationEntry[]) => void, query: AnnotationQuery = {}): () => void {
    return this.#entries.observe(() => listener(this.list(query)));
  }

  #field(id: string, field: string): unknown {
    const entry = this.#entries.map.get(id);
    return entry instanceof Y.Map ? entry.get(field) : undefined;
  }

  #changeReplies(id: string, change: (replies: Y.Array<Reply>) => void, after: readonly Reply[]): void {
    const replies = this.#field(id, 'replies');
    if (!(replies instanceof Y.Array)) throw new CovistaError('not_found', `annotation ${id} has no replies`, { id });
    this.#entries.change(id, {}, () => change(replies as Y.Array<Reply>), { replies: after });
  }

  #present(id: string): AnnotationEntry {
    const entry = this.get(id);
    if (entry === undefined) throw new CovistaError('not_found', `there is no annotation ${id}`, { id });
    return entry;
  }
}

function indexOf(replies: readonly Reply[], id: string): number {
  const index = replies.findIndex((reply) => reply.id === id);
  if (index === -1) throw new CovistaError('not_found', `there is no reply ${id}`, { id });
  return index;
}

function answers({ anchor, resolved }: Annotation, query: AnnotationQuery): boolean {
  if (query.resolved !== undefined && query.resolved !== (resolved !== null)) return false;
  if (query.versionId !== undefined && (anchor.versionId ?? query.versionId) !== query.versionId) return false;
  if (query.rowKey !== undefined && !sameKey(anchor.rowKey, query.rowKey)) return false;
  return (['row', 'column', 'viewId'] as const).every((field) => query[field] === undefined || query[field] === anchor[field]);
}

function sameKey(one: Anchor['rowKey'] = {}, other: NonNullable<Anchor['rowKey']>): boolean {
  const names = Object.keys(other);
  return names.length === Object.keys(one).length && names.every((name) => one[name] === other[name]);
}

/** Replaces what lies between the common beginning and the common end. A pair of surrogates is never split. */
function rewrite(text: Y.Text, next: string): void {
  const now = text.toString();
  const shorter = Math.min(now.length, next.length);
  let start = 0;
  while (start < shorter && now[start] === next[start]) start += 1;
  if (start > 0 && isHighSurrogate(now.charCodeAt(start - 1))) start -= 1;
  let end = 0;
  while (end < shorter - start && now[now.length - 1 - end] === next[next.length - 1 - end]) end += 1;
  if (end > 0 && isLowSurrogate(now.charCodeAt(now.length - end))) end -= 1;
  if (now.length - start - end > 0) text.delete(start, now.length - start - end);
  if (next.length - start - end > 0) text.insert(start, next.slice(start, next.length - end));
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00;
const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000;
