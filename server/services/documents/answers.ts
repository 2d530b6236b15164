import * as Y from 'yjs';
import type { Limits } from '../../../protocol/limits.ts';
import type { DocumentLog } from './document-log.ts';
import type { SyncMessages } from './sync-messages.ts';

/** Somebody who asks for what they lack. */
export interface Asker {
  /** Bytes that wait for them. */
  readonly queuedBytes: number;
  /** What they lack; with the state that they have then where so much waits for them that edits are not to come behind it. */
  sendState(message: Uint8Array, stateVector: Uint8Array | undefined, isAsked: boolean): void;
}

interface Question {
  readonly stateVector: Uint8Array;
  readonly isAsked: boolean;
}

export interface AnswersOptions {
  readonly doc: Y.Doc;
  readonly messages: SyncMessages;
  readonly log: Pick<DocumentLog, 'isPending' | 'whenCommitted'>;
  readonly limits: Pick<Limits, 'documentPendingBytesMax' | 'documentQueuedBytesMax'>;
}

/**
 * Answers to those who ask for the state of a document, sent when all of it is committed, so that nobody ever has what a crash could
 * take back. While edits are on their way to the database only the question waits, one of each asker. Where there are newer edits
 * by then the answer is made and waits for these, or it would never be sent while others edit.
 */
export class Answers {
  readonly #options: AnswersOptions;
  readonly #questions = new Map<Asker, Question>();
  /** Of answers that are made and wait. */
  #bytes = 0;

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /** Throws for a state vector that is none. */
  ask(stateVector: Uint8Array, from: Asker, isAsked: boolean): void {
    const { log } = this.#options;
    // It is read later otherwise, when nobody can be told that it is wrong.
    if (log.isPending) Y.decodeStateVector(stateVector);
    const before = this.#questions.get(from);
    this.#questions.set(from, before === undefined ? { stateVector, isAsked } : joined(before, { stateVector, isAsked }));
    if (before === undefined) log.whenCommitted(() => this.#answer(from));
  }

  leave(asker: Asker): void {
    this.#questions.delete(asker);
  }

  #answer(to: Asker): void {
    const { doc, messages, log, limits } = this.#options;
    const question = this.#questions.get(to);
    if (question === undefined) return;
    if (log.isPending && this.#bytes > limits.documentPendingBytesMax) {
      log.whenCommitted(() => this.#answer(to));
      return;
    }
    this.#questions.delete(to);
    const message = messages.difference(question.stateVector);
    const isLarge = to.queuedBytes + message.length > limits.documentQueuedBytesMax;
    const reached = isLarge ? Y.encodeStateVector(doc) : undefined;
    this.#bytes += message.length;
    log.whenCommitted(() => {
      this.#bytes -= message.length;
      to.sendState(message, reached, question.isAsked);
    });
  }
}

/** One answer does for both: programs behind one channel may each have asked, so that it has what either lacks. */
function joined(one: Question, other: Question): Question {
  const isAsked = one.isAsked || other.isAsked;
  if (Buffer.compare(one.stateVector, other.stateVector) === 0) return { stateVector: one.stateVector, isAsked };
  const others = Y.decodeStateVector(other.stateVector);
  const both = [...Y.decodeStateVector(one.stateVector)].map(([clientId, clock]): [number, number] => [
    clientId,
    Math.min(clock, others.get(clientId) ?? 0),
  ]);
  return { stateVector: Y.encodeStateVector(new Map(both.filter(([, clock]) => clock > 0))), isAsked };
}
