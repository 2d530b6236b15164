import type { Subject } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { assert } from '../../shared/assert.ts';
import type { BindingRecord, ClientBinding, StoredToldClients } from '../../storage/stores.ts';
import { ToldClients, type ToldClientsLimits } from './told-clients.ts';
import type { ClockRange } from './update-scan.ts';

export interface YjsClientsOptions {
  readonly bindings: readonly Pick<BindingRecord, 'clientId' | 'subject'>[];
  readonly told: StoredToldClients;
  /** Under which the server itself edits. */
  readonly own: number;
  readonly limits: Pick<Limits, 'documentNewClientsMax' | 'documentClientsMax'> & ToldClientsLimits;
}

/** Whose the Yjs clients of a document are; those under which the server edited are nobody's. */
export class YjsClients {
  readonly #options: YjsClientsOptions;
  readonly #subjects = new Map<number, Subject | null>();
  /** How many are each person's. */
  readonly #counts = new Map<Subject, number>();
  readonly #told: ToldClients;

  constructor(options: YjsClientsOptions) {
    this.#options = options;
    this.#told = new ToldClients(options.told, options.limits);
    for (const binding of options.bindings) this.#set(binding);
  }

  /** Who may write tells presence under these ids: what is nobody's yet is kept for them. */
  told(clientIds: readonly number[], subject: Subject): void {
    for (const clientId of clientIds) if (!this.#subjects.has(clientId)) this.#told.keep(clientId, subject);
  }

  /** Of those that are kept for who told them, what is to be known when the document is opened anew; undefined: as it is stored. */
  get toldToStore(): StoredToldClients | undefined {
    return this.#told.toStore;
  }

  /** Whether all that is added goes under ids that are the subject's, or nobody's yet and not kept for somebody else. */
  areTheirs(added: readonly ClockRange[], subject: Subject): boolean {
    return added.every(({ clientId }) => {
      if (this.#subjects.has(clientId)) return this.#subjects.get(clientId) === subject;
      return clientId !== this.#options.own && (this.#told.subjectOf(clientId) ?? subject) === subject;
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
    this.#told.forget(clientId);
    if (subject !== null) this.#counts.set(subject, (this.#counts.get(subject) ?? 0) + 1);
    return binding;
  }
}
