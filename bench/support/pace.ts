import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { Recorder } from '../../server/cli/load/recorder.ts';

/** One kind of request that is asked again and again. */
interface Asking {
  readonly action: string;
  readonly seconds: number;
  /** Takes what comes after the warm-up. */
  readonly recorder: Recorder;
  work(): Promise<unknown>;
}

/** A quarter of the time goes before it is counted, for what is warmed up. */
const WARM_UP = 0.25;
/** Behind so many, what comes further waits for those in front of it and tells nothing new. */
export const UNDER_WAY_MAX = 100;
const ASKED_AT_ONCE = 16;

/** Asks at a steady rate, whether or not earlier requests were answered; a time runs from when its request was due. */
export async function pace({ action, seconds, recorder, work, perSecond }: Asking & { readonly perSecond: number }): Promise<void> {
  const total = Math.ceil(perSecond * seconds * (1 + WARM_UP));
  const before = Math.floor(total - perSecond * seconds);
  // What was asked to warm up is no part of the figures, however late its answer comes.
  const warmingUp = new Recorder();
  const startMs = performance.now();
  const answers: Promise<unknown>[] = [];
  for (let request = 0; request < total; request += 1) {
    const dueAtMs = startMs + (request * 1_000) / perSecond;
    await until(dueAtMs);
    // Answers are read also where more is due than can be asked.
    if (request % ASKED_AT_ONCE === 0) await turn();
    if (request === before) recorder.restart();
    answers.push((request < before ? warmingUp : recorder).measure(action, dueAtMs, work));
  }
  await Promise.all(answers);
}

/** Not a moment before: timers are as coarse as a millisecond, and some come early. */
async function until(atMs: number): Promise<void> {
  for (let waitMs = atMs - performance.now(); waitMs > 0; waitMs = atMs - performance.now()) await (waitMs > 2 ? delay(1) : turn());
}

/**
 * Asks as fast as answers come, each caller one thing after the other. It is for the rate of answers, in which those count that
 * were asked while it warmed up and came after that, since they were worked on then.
 */
export async function flatOut({ action, seconds, recorder, work, callers }: Asking & { readonly callers: number }): Promise<void> {
  const startMs = performance.now();
  const endMs = startMs + seconds * 1_000 * (1 + WARM_UP);
  let isOver = false;
  const loop = async (): Promise<void> => {
    while (!isOver) await recorder.measure(action, performance.now(), work);
  };
  const loops = Promise.all(Array.from({ length: Math.min(callers, UNDER_WAY_MAX) }, loop));
  await delay(seconds * 1_000 * WARM_UP);
  recorder.restart();
  await delay(endMs - performance.now());
  isOver = true;
  // The rate is that of all answers until the last one.
  await loops;
}
