import { expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { Gathering } from '../../server/shared/gathering.ts';

interface Asking {
  readonly questions: readonly number[];
  readonly answer: () => void;
  readonly fail: (fault: unknown) => void;
}

/** A gathering of numbers, answered by their tenfold when the test says so. */
function gather(questionsMax = 100): { readonly gathering: Gathering<number, number>; readonly askings: Asking[] } {
  const askings: Asking[] = [];
  const gathering = new Gathering<number, number>({
    questionsMax,
    ask: (questions) => {
      const { promise, resolve, reject } = Promise.withResolvers<number[]>();
      askings.push({ questions, answer: () => resolve(questions.map((question) => question * 10)), fail: reject });
      return promise;
    },
  });
  return { gathering, askings };
}

/** The asking of a number in the order of time, once it is under way. */
async function nth(askings: readonly Asking[], number: number): Promise<Asking> {
  await expect.poll(() => askings.length, { interval: 1 }).toBeGreaterThan(number);
  return askings[number] as Asking;
}

test('what is asked in one turn goes together, and what comes meanwhile makes the next question', async () => {
  const { gathering, askings } = gather();
  const first = [1, 2].map((question) => gathering.ask(question));
  const one = await nth(askings, 0);
  expect(one.questions).toEqual([1, 2]);
  const second = [3, 4, 5].map((question) => gathering.ask(question));
  one.answer();
  expect(await Promise.all(first)).toEqual([10, 20]);
  const two = await nth(askings, 1);
  expect(two.questions).toEqual([3, 4, 5]);
  two.answer();
  expect(await Promise.all(second)).toEqual([30, 40, 50]);
  const third = gathering.ask(6);
  const three = await nth(askings, 2);
  three.answer();
  expect(await third).toBe(60);
});

test('no question has more parts than it may', async () => {
  const { gathering, askings } = gather(2);
  const all = Promise.all([1, 2, 3, 4, 5].map((question) => gathering.ask(question)));
  for (const number of [0, 1, 2]) (await nth(askings, number)).answer();
  expect(await all).toEqual([10, 20, 30, 40, 50]);
  expect(askings.map(({ questions }) => questions)).toEqual([[1, 2], [3, 4], [5]]);
});

test('nobody pays for what another one asked: after a fault each is asked alone', async () => {
  const { gathering, askings } = gather();
  const all = Promise.allSettled([1, 2, 3].map((question) => gathering.ask(question)));
  (await nth(askings, 0)).fail(new CovistaError('not_found', 'the second is none'));
  (await nth(askings, 1)).answer();
  (await nth(askings, 2)).fail(new CovistaError('not_found', 'the second is none'));
  (await nth(askings, 3)).answer();
  expect(await all).toMatchObject([{ value: 10 }, { reason: { code: 'not_found' } }, { value: 30 }]);
});

test('where nothing can be answered all hear so at once, and those who ask later are asked for', async () => {
  const { gathering, askings } = gather();
  const all = Promise.allSettled([1, 2].map((question) => gathering.ask(question)));
  (await nth(askings, 0)).fail(new CovistaError('unavailable', 'down'));
  expect(await all).toMatchObject([{ reason: { code: 'unavailable' } }, { reason: { code: 'unavailable' } }]);
  const later = gathering.ask(3);
  (await nth(askings, 1)).answer();
  expect(await later).toBe(30);
});
