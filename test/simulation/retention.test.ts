import { afterAll, beforeAll, expect, test } from 'vitest';
import { RetentionWorld } from '../support/retention-world.ts';

const STEPS = Number(process.env.RETENTION_STEPS ?? 2_000);
const SEED = Number(process.env.RETENTION_SEED ?? Date.now() % 1_000_000);

let world: RetentionWorld;

beforeAll(async () => {
  world = await RetentionWorld.open(SEED);
});

afterAll(() => world?.close());

/** The dice may take longer to come to everything that can happen. */
const STEPS_MAX = 5 * STEPS;

/** Its seed is in the title of the test, with which `RETENTION_SEED` repeats it; `RETENTION_STEPS` makes it longer. */
test(`RET5 RET6 VC20 nothing is lost and nothing stays: ${STEPS} steps from seed ${SEED}`, { timeout: 120_000 + STEPS_MAX * 100 }, async () => {
  for (let step = 1; step <= STEPS || (step <= STEPS_MAX && world.missing().length > 0); step += 1) {
    await world.step();
    if (step % 25 === 0) expect(await world.losses(), `after step ${step}: ${world.history()}`).toEqual([]);
  }
  await world.settle();
  expect(await world.losses(), world.history()).toEqual([]);
  expect(await world.orphans(), world.history()).toEqual([]);
  expect(await world.storageMistakes()).toEqual([]);
  // Or the test shows less than it says.
  expect(world.missing()).toEqual([]);
});
