import type { Subject } from '../../../protocol/ids.ts';

/**
 * The Yjs clients under which persons told presence and that are nobody's by an edit yet. Everybody saw these ids, so they stay with who
 * told them first also while that person is away: the edits that they come back with are lost if somebody else edits under them before.
 */
export class ToldClients {
  readonly #perSubjectMax: number;
  readonly #subjects = new Map<number, Subject>();
  /** Of each person, the oldest first. */
  readonly #clients = new Map<Subject, readonly number[]>();

  constructor(perSubjectMax: number) {
    this.#perSubjectMax = perSubjectMax;
  }

  subjectOf(clientId: number): Subject | undefined {
    return this.#subjects.get(clientId);
  }

  /** Of more than a person may have, that person's oldest goes, so that nobody takes the places of others. */
  keep(clientId: number, subject: Subject): void {
    if (this.#subjects.has(clientId)) return;
    const theirs = [...(this.#clients.get(subject) ?? []), clientId];
    this.#subjects.set(clientId, subject);
    this.#clients.set(subject, theirs);
    const [oldest] = theirs;
    if (theirs.length > this.#perSubjectMax && oldest !== undefined) this.forget(oldest);
  }

  forget(clientId: number): void {
    const subject = this.#subjects.get(clientId);
    if (subject === undefined) return;
    this.#subjects.delete(clientId);
    const left = this.#clients.get(subject)?.filter((other) => other !== clientId) ?? [];
    if (left.length > 0) this.#clients.set(subject, left);
    else this.#clients.delete(subject);
  }
}
