import { CovistaError } from '../../protocol/errors.ts';

export interface GatheringOptions<Question, Answer> {
  /** Answers questions together, each at its place. */
  readonly ask: (questions: readonly Question[]) => Promise<readonly Answer[]>;
  readonly questionsMax: number;
}

interface Asked<Question, Answer> {
  readonly question: Question;
  readonly resolve: (answer: Answer | PromiseLike<Answer>) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Asks together what is asked at about the same time: a lone question goes in the same turn of the loop, and what comes while one
 * is on its way makes the next. So nobody waits longer than for two answers, and many who come at once cost about as much as one.
 */
export class Gathering<Question, Answer> {
  readonly #options: GatheringOptions<Question, Answer>;
  #waiting: Asked<Question, Answer>[] = [];
  #isAsking = false;

  constructor(options: GatheringOptions<Question, Answer>) {
    this.#options = options;
  }

  ask(question: Question): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#waiting.push({ question, resolve, reject });
    if (!this.#isAsking) {
      this.#isAsking = true;
      setImmediate(() => void this.#run());
    }
    return promise;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) await this.#askTogether(this.#waiting.splice(0, this.#options.questionsMax));
    this.#isAsking = false;
  }

  async #askTogether(asked: readonly Asked<Question, Answer>[]): Promise<void> {
    try {
      const answers = await this.#options.ask(asked.map(({ question }) => question));
      for (const [at, { resolve }] of asked.entries()) resolve(answers[at] as Answer);
    } catch (fault) {
      if (asked.length > 1 && !isOfAll(fault)) await this.#askApart(asked);
      else for (const { reject } of asked) reject(fault);
    }
  }

  /** One of them cannot be answered, for which the others are not to pay. */
  async #askApart(asked: readonly Asked<Question, Answer>[]): Promise<void> {
    for (const one of asked) await this.#askTogether([one]);
  }
}

/** Whether a fault has nothing to do with what was asked. */
const isOfAll = (fault: unknown): boolean => fault instanceof CovistaError && fault.code === 'unavailable';
