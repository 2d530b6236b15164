import type { Client } from '../../../client/index.ts';
import { CovistaError } from '../../../protocol/errors.ts';

/** All of it together: a server that died under the load answers nothing, and the verdict does not wait for it. */
const CLEAN_UP_MS_MAX = 15_000;

/** Takes back what a run did to the server, as far as it answers in time. The time begins when this is made. */
export class CleanUp {
  readonly #signal: AbortSignal;
  readonly #withinMs: number;

  constructor(withinMs = CLEAN_UP_MS_MAX) {
    this.#withinMs = withinMs;
    this.#signal = AbortSignal.timeout(withinMs);
  }

  /** Answers with why something could not be taken back, to be told; undefined: it was. */
  async attempt(takeBack: (options: { readonly signal: AbortSignal }) => Promise<unknown>): Promise<string | undefined> {
    try {
      await takeBack({ signal: this.#signal });
      return undefined;
    } catch (fault) {
      if (!(fault instanceof CovistaError)) throw fault;
      return this.#signal.aborted ? `the server did not answer within ${this.#withinMs / 1_000} s` : fault.message;
    }
  }
}

/** Deletes a dataset that was made for a run; answers with what is left, to be told; undefined: nothing is. */
export async function deleteMade(owner: Client, datasetId: number, cleanUp: CleanUp): Promise<string | undefined> {
  const reason = await cleanUp.attempt((options) => owner.dataset.delete({ datasetId }, options));
  return reason === undefined ? undefined : `dataset ${datasetId}, which was made for the run, could not be deleted (${reason})`;
}
