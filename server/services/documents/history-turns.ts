import { CovistaError } from '../../../protocol/errors.ts';
import type { Subject } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { Slots } from '../../shared/slots.ts';

type HistoryLimits = Pick<Limits, 'documentHistoryAtOnceMax' | 'documentHistoryQueueMax' | 'documentHistoryPerSubjectMax'>;

const RETRY_AFTER_MS = 1_000;

/**
 * Work with whole states of documents that somebody waits for: a few at once, as each takes a few times the size of a document in
 * memory, and a bounded number behind them, of which one person has a share. So a compaction never has more than those few before it.
 */
export class HistoryTurns {
  readonly #limits: HistoryLimits;
  readonly #slots: Slots;
  readonly #ofSubject = new Map<Subject, number>();
  #taken = 0;

  constructor(limits: HistoryLimits) {
    this.#limits = limits;
    this.#slots = new Slots(limits.documentHistoryAtOnceMax);
  }

  /** `rate_limited` where too much waits; work that was begun goes on when the signal aborts, and what waits ends. */
  async run<Result>(subject: Subject, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    this.#assertRoom(subject);
    this.#count(subject, 1);
    try {
      return await this.#slots.run(signal, work);
    } finally {
      this.#count(subject, -1);
    }
  }

  #assertRoom(subject: Subject): void {
    const { documentHistoryAtOnceMax, documentHistoryQueueMax, documentHistoryPerSubjectMax } = this.#limits;
    if ((this.#ofSubject.get(subject) ?? 0) >= documentHistoryPerSubjectMax) {
      throw new CovistaError('rate_limited', `${documentHistoryPerSubjectMax} requests of yours for snapshots of documents are under way already`, {
        documentHistoryPerSubjectMax,
        retryAfterMs: RETRY_AFTER_MS,
      });
    }
    if (this.#taken >= documentHistoryAtOnceMax + documentHistoryQueueMax) {
      throw new CovistaError('rate_limited', `${documentHistoryQueueMax} requests for snapshots of documents wait already`, {
        documentHistoryQueueMax,
        retryAfterMs: RETRY_AFTER_MS,
      });
    }
  }

  #count(subject: Subject, by: 1 | -1): void {
    const count = (this.#ofSubject.get(subject) ?? 0) + by;
    if (count === 0) this.#ofSubject.delete(subject);
    else this.#ofSubject.set(subject, count);
    this.#taken += by;
  }
}
