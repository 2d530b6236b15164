import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { CrowdShare, FromCrowd, ToCrowd } from './crowd.protocol.ts';
import type { CrowdPlan } from './crowd.ts';
import { Recorder } from './recorder.ts';

/** Beside this file, with its extension: a checkout runs TypeScript, a package JavaScript. */
const WORKER = new URL(import.meta.url.replace(/\.client(\.\w+)$/, '.worker$1'));
/** What one thread can be without keeping its people waiting itself. */
const PEOPLE_PER_THREAD = 100;

type Told = Extract<FromCrowd, { kind: 'told' }>;

/** The people, spread over as many threads as they need and the machine has: what they wait for should be the server. */
export class CrowdThreads {
  readonly #threads: readonly CrowdThread[];

  constructor(plan: Omit<CrowdPlan, 'first' | 'step'>, scenario: string) {
    const step = Math.max(1, Math.min(availableParallelism(), Math.ceil(plan.people / PEOPLE_PER_THREAD)));
    this.#threads = Array.from({ length: step }, (_, first) => new CrowdThread({ plan: { ...plan, first, step }, scenario }));
  }

  /** How many of the people have taken their seats. */
  get arrived(): number {
    return this.#threads.reduce((sum, { told }) => sum + (told?.arrived ?? 0), 0);
  }

  /** What was recorded up to the last second since all were there, in the time in which they arrived, or in both. */
  recorder(...of: readonly ('recorded' | 'arrival')[]): Recorder {
    return Recorder.of(this.#threads.flatMap(({ told }) => of.flatMap((phase) => told?.[phase] ?? [])));
  }

  /**
   * Lets the people come, and leave so long after all were there, or when `signal` says so; resolves when the last has left.
   * Rejects when a thread fails.
   */
  async run(durationMs: number, signal: AbortSignal): Promise<void> {
    const over = Promise.all(this.#threads.map((thread) => thread.over));
    const all = (happened: (thread: CrowdThread) => Promise<void>): Promise<unknown> =>
      Promise.race([Promise.all(this.#threads.map(happened)), over]);
    const end = (): void => this.#send('end');
    let timer: NodeJS.Timeout | undefined;
    try {
      await all(({ ready }) => ready);
      this.#send('begin');
      signal.addEventListener('abort', end, { once: true });
      if (signal.aborted) end();
      await all(({ settled }) => settled);
      if (!signal.aborted) this.#send('measure');
      timer = setTimeout(end, durationMs);
      await over;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      await Promise.all(this.#threads.map((thread) => thread.stop()));
    }
  }

  #send(message: ToCrowd): void {
    for (const thread of this.#threads) thread.send(message);
  }
}

class CrowdThread {
  readonly ready: Promise<void>;
  readonly settled: Promise<void>;
  readonly over: Promise<void>;
  readonly #worker: Worker;
  #told: Told | undefined;

  constructor(share: CrowdShare) {
    this.#worker = new Worker(WORKER, { name: `crowd-${share.plan.first + 1}`, workerData: share });
    const [ready, settled, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    this.ready = ready.promise;
    this.settled = settled.promise;
    this.over = over.promise;
    this.#worker.on('message', (message: FromCrowd) => {
      if (message.kind === 'ready') ready.resolve();
      else if (message.kind === 'settled') settled.resolve();
      else if (message.kind === 'over') over.resolve();
      else this.#told = message;
    });
    this.#worker.once('error', over.reject);
    this.#worker.once('exit', () => over.reject(new Error('a thread ended before its people had left')));
  }

  /** What it told last. */
  get told(): Told | undefined {
    return this.#told;
  }

  send(message: ToCrowd): void {
    this.#worker.postMessage(message);
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}
