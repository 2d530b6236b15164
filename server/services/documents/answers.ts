import * as Y from 'yjs';
import type { Limits } from '../../../protocol/limits.ts';
import { Turns } from '../../shared/turns.ts';
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
 * by then the answer is made and waits for these, or it would never be sent while others edit. Each answer may be a whole state: of many
 * who are to have one at once some wait for another turn of the loop.
 */
export class Answers {
  readonly #options: AnswersOptions;
  readonly #questions = new Map<Asker, Question>();
  /** Those whose answer may be made now, in order. */
  readonly #queue = new Set<Asker>();
  /** Shared by all answers that are made in one turn of the loop. */
  #turns: Turns | undefined;
  /** Of answers that are made and wait. */
  #bytes = 0;

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /** Throws for a state vector that is none. */
  ask(stateVector: Uint8Array, from: Asker, isAsked: boolean): void {
    // It may be read later, when nobody can be told that it is wrong.
    Y.decodeStateVector(stateVector);
    const before = this.#questions.get(from);
    this.#questions.set(from, before === undefined ? { stateVector, isAsked } : joined(before, { stateVector, isAsked }));
    if (before === undefined) this.#whenCommitted(from);
  }

  leave(asker: Asker): void {
    this.#questions.delete(asker);
    this.#queue.delete(asker);
  }

  /** The document is gone: nobody is answered any more. */
  end(): void {
    this.#questions.clear();
    this.#queue.clear();
  }

  #whenCommitted(asker: Asker): void {
    this.#options.log.whenCommitted(() => {
      if (!this.#questions.has(asker)) return;
      this.#queue.add(asker);
      this.#turns ??= this.#begin();
      this.#answerSome(this.#turns);
    });
  }

  #begin(): Turns {
    const turns = new Turns();
    void this.#goOn(turns);
    return turns;
  }

  async #goOn(turns: Turns): Promise<void> {
    try {
      do {
        await turns.next();
        this.#answerSome(turns);
      } while (this.#queue.size > 0);
    } finally {
      this.#turns = undefined;
    }
  }

  #answerSome(turns: Turns): void {
    for (const asker of this.#queue) {
      if (turns.over) return;
      this.#queue.delete(asker);
      this.#answer(asker);
    }
  }

  #answer(to: Asker): void {
    const { doc, messages, log, limits } = this.#options;
    const question = this.#questions.get(to);
    if (question === undefined) return;
    if (log.isPending && this.#bytes > limits.documentPendingBytesMax) {
      this.#whenCommitted(to);
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
