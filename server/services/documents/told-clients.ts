import type { Subject } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { StoredToldClients } from '../../storage/stores.ts';

export type ToldClientsLimits = Pick<Limits, 'documentToldClientsMax' | 'documentToldClientsKeptMax'>;

/**
 * The Yjs clients under which persons told presence and that are nobody's by an edit yet. Everybody saw these ids, so they stay with who
 * told them first also while that person is away: the edits that they come back with are lost if somebody else edits under them before.
 */
export class ToldClients {
  readonly #limits: ToldClientsLimits;
  readonly #subjects = new Map<number, Subject>();
  /** Of each person, the oldest first. */
  readonly #clients = new Map<Subject, readonly number[]>();
  #hasChanged = false;

  constructor(stored: StoredToldClients, limits: ToldClientsLimits) {
    this.#limits = limits;
    for (const [subject, clientIds] of stored) for (const clientId of clientIds) this.keep(clientId, subject);
    this.#hasChanged = false;
  }

  /** What is to be known of them when the document is opened anew; undefined: as it is stored. */
  get toStore(): StoredToldClients | undefined {
    if (!this.#hasChanged) return undefined;
    return [...this.#clients].map(([subject, clientIds]) => [
      subject,
      clientIds.slice(Math.max(0, clientIds.length - this.#limits.documentToldClientsKeptMax)),
    ]);
  }

  subjectOf(clientId: number): Subject | undefined {
    return this.#subjects.get(clientId);
  }

  /** Of more than a person may have, that person's oldest goes, so that nobody takes the places of others. */
  keep(clientId: number, subject: Subject): void {
    if (this.#subjects.has(clientId)) return;
    this.#hasChanged = true;
    const theirs = [...(this.#clients.get(subject) ?? []), clientId];
    this.#subjects.set(clientId, subject);
    this.#clients.set(subject, theirs);
    const [oldest] = theirs;
    if (theirs.length > this.#limits.documentToldClientsMax && oldest !== undefined) this.forget(oldest);
  }

  forget(clientId: number): void {
    const subject = this.#subjects.get(clientId);
    if (subject === undefined) return;
    this.#hasChanged = true;
    this.#subjects.delete(clientId);
    const left = this.#clients.get(subject)?.filter((other) => other !== clientId) ?? [];
    if (left.length > 0) this.#clients.set(subject, left);
    else this.#clients.delete(subject);
  }
}
