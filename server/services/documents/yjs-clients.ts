import type { Subject } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { assert } from '../../shared/assert.ts';
import type { BindingRecord, ClientBinding } from '../../storage/stores.ts';
import type { Presence } from './presence.ts';
import type { ClockRange } from './update-scan.ts';

export interface YjsClientsOptions {
  readonly bindings: readonly Pick<BindingRecord, 'clientId' | 'subject'>[];
  /** Under which the server itself edits. */
  readonly own: number;
  readonly presence: Pick<Presence, 'writerOf'>;
  readonly limits: Pick<Limits, 'documentNewClientsMax' | 'documentClientsMax'>;
}

/** Whose the Yjs clients of a document are; those under which the server edited are nobody's. */
export class YjsClients {
  readonly #options: YjsClientsOptions;
  readonly #subjects = new Map<number, Subject | null>();
  /** How many are each person's. */
  readonly #counts = new Map<Subject, number>();

  constructor(options: YjsClientsOptions) {
    this.#options = options;
    for (const binding of options.bindings) this.#set(binding);
  }

  /** Whether all that is added goes under ids that are the subject's, or nobody's yet: an id that is seen in somebody's presence is theirs. */
  areTheirs(added: readonly ClockRange[], subject: Subject): boolean {
    const { own, presence } = this.#options;
    return added.every(({ clientId }) => {
      if (this.#subjects.has(clientId)) return this.#subjects.get(clientId) === subject;
      return clientId !== own && (presence.writerOf(clientId) ?? subject) === subject;
    });
  }

  /** Whether more ids become the subject's than may, at once or in all. */
  areTooMany(added: readonly ClockRange[], subject: Subject): boolean {
    const { documentNewClientsMax, documentClientsMax } = this.#options.limits;
    const fresh = this.#fresh(added).length;
    return fresh > documentNewClientsMax || (fresh > 0 && (this.#counts.get(subject) ?? 0) + fresh > documentClientsMax);
  }

  /** The ids that become the subject's. */
  bind(added: readonly ClockRange[], subject: Subject): ClientBinding[] {
    return this.#fresh(added).map((clientId) => this.#set({ clientId, subject }));
  }

  /** That of the server, once it has edited. */
  bindOwn(): ClientBinding[] {
    const { own } = this.#options;
    return this.#subjects.has(own) ? [] : [this.#set({ clientId: own, subject: null })];
  }

  #fresh(added: readonly ClockRange[]): number[] {
    return [...new Set(added.map(({ clientId }) => clientId))].filter((clientId) => !this.#subjects.has(clientId));
  }

  #set(binding: ClientBinding): ClientBinding {
    const { clientId, subject } = binding;
    assert(!this.#subjects.has(clientId), 'a Yjs client is bound once');
    this.#subjects.set(clientId, subject);
    if (subject !== null) this.#counts.set(subject, (this.#counts.get(subject) ?? 0) + 1);
    return binding;
  }
}
