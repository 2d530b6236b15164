import * as Y from 'yjs';
import { countFault, type EntryChange, entryFault, type Fault } from '../../protocol/documents/validate.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { randomKey, withoutUndefined } from '../values.ts';
import type { DocumentSession } from './session.ts';
import { assertWritable } from './writable.ts';

type Plain = Readonly<Record<string, unknown>>;

/** The fields of entries that have fields. */
const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  views: ['name', 'config', 'plugin', 'dialect', 'ref', 'author', 'createdAt', 'updatedAt'],
  annotations: ['anchor', 'body', 'replies', 'author', 'createdAt', 'resolved'],
};

/** One of the maps of a document, whose every change is checked here by the rules that the server has. */
export class Entries {
  readonly #session: DocumentSession;
  readonly #kind: EntryChange['kind'];
  readonly #name: string;

  constructor(session: DocumentSession, name: string) {
    this.#session = session;
    this.#kind = session.name.startsWith('user/') ? 'user' : 'dataset';
    this.#name = name;
  }

  /** Who makes the changes here. */
  get subject(): string {
    return this.#session.opened?.subject ?? '';
  }

  /** The map itself, of the copy that there is now. */
  get map(): Y.Map<unknown> {
    return this.#session.replica.doc.getMap(this.#name);
  }

  /** An entry as plain JSON; undefined where there is none that is whole. */
  get(id: string): unknown {
    const entry = plain(this.map.get(id));
    return this.#isWhole(entry) ? entry : undefined;
  }

  /** All entries that are whole. */
  all(): [id: string, entry: unknown][] {
    return [...this.map.entries()].flatMap(([id, shared]) => {
      const entry = plain(shared);
      return this.#isWhole(entry) ? [[id, entry]] : [];
    });
  }

  /** Makes an entry of its fields under an id of 128 random bits; `shared` are those fields that are not plain JSON. */
  create(fields: Plain, shared: Readonly<Record<string, Y.Text | Y.Array<unknown>>> = {}): string {
    const id = randomKey();
    const entry = withoutUndefined(fields) as Plain;
    this.#check(id, entry);
    const fault = countFault(this.#kind, this.#name, this.map.size + 1);
    if (fault !== undefined) throw refusedBy(fault);
    this.#session.replica.edit(() => this.map.set(id, new Y.Map<unknown>([...Object.entries(entry), ...Object.entries(shared)])));
    return id;
  }

  /** Sets an entry that is plain JSON itself. */
  set(id: string, entry: unknown): void {
    this.#check(id, entry);
    const fault = this.map.has(id) ? undefined : countFault(this.#kind, this.#name, this.map.size + 1);
    if (fault !== undefined) throw refusedBy(fault);
    this.#session.replica.edit(() => this.map.set(id, entry));
  }

  /** Changes fields of an entry, undefined ones being removed; `after` is what it then is, where a field is not plain JSON. */
  change(id: string, fields: Plain, apply: (entry: Y.Map<unknown>) => void = () => undefined, after: Plain = {}): void {
    const entry = this.#entry(id);
    this.#check(id, withoutUndefined({ ...entry.toJSON(), ...fields, ...after }));
    this.#session.replica.edit(() => {
      for (const [name, value] of Object.entries(fields)) {
        if (value === undefined) entry.delete(name);
        else entry.set(name, withoutUndefined(value));
      }
      apply(entry);
    });
  }

  /** Answers whether there was such an entry. */
  remove(id: string): boolean {
    assertWritable(this.#session);
    if (!this.map.has(id)) return false;
    this.#session.replica.edit(() => this.map.delete(id));
    return true;
  }

  /** Tells of changes, once for all that happen together, until the function that it returns is called. */
  observe(listener: () => void): () => void {
    let map = this.map;
    let isWaiting = false;
    let isOver = false;
    const changed = (): void => {
      if (isWaiting) return;
      isWaiting = true;
      queueMicrotask(() => {
        isWaiting = false;
        if (!isOver) listener();
      });
    };
    const stop = this.#session.onReplaced.add(() => {
      map = this.map;
      map.observeDeep(changed);
      changed();
    });
    map.observeDeep(changed);
    return () => {
      isOver = true;
      stop();
      map.unobserveDeep(changed);
    };
  }

  /**
   * What two people do at once can leave half an entry, until the server has taken back what came second. Only what every entry must
   * have is looked at, since the rest is the server's to check.
   */
  #isWhole(entry: unknown): boolean {
    const required = REQUIRED[this.#name];
    return required === undefined || required.every((field) => (entry as Plain | undefined)?.[field] !== undefined);
  }

  #entry(id: string): Y.Map<unknown> {
    const entry = this.map.get(id);
    if (entry instanceof Y.Map) return entry;
    throw new CovistaError('not_found', `${this.#session.name} has no ${id} in ${this.#name}`, { id });
  }

  #check(id: string, after: unknown): void {
    assertWritable(this.#session);
    const fault = entryFault({ kind: this.#kind, map: this.#name, id, before: plain(this.map.get(id)), after, subject: this.subject });
    if (fault !== undefined) throw refusedBy(fault);
  }
}

/** An entry as plain JSON. */
export const plain = (entry: unknown): unknown => (entry instanceof Y.AbstractType ? entry.toJSON() : entry);

function refusedBy({ rule, path, message }: Fault): CovistaError {
  return new CovistaError('invalid_input', `${path.join('.')}: ${message}`, { rule, path });
}
