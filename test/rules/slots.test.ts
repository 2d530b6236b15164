import { expect, test } from 'vitest';
import { Slots } from '../../server/shared/slots.ts';

const never = new AbortController().signal;

interface Task {
  readonly done: Promise<unknown>;
  end(): void;
}

function begin(slots: Slots, began: string[], name: string, signal = never): Task {
  const held = Promise.withResolvers<void>();
  const done = slots.run(signal, async () => {
    began.push(name);
    await held.promise;
  });
  return { done, end: held.resolve };
}

test('so many tasks run at once, and the others in the order in which they came', async () => {
  const slots = new Slots(2);
  const began: string[] = [];
  const tasks = ['a', 'b', 'c', 'd'].map((name) => begin(slots, began, name));
  await Promise.resolve();
  expect(began).toEqual(['a', 'b']);
  tasks[1]?.end();
  await tasks[1]?.done;
  await new Promise(setImmediate);
  expect(began).toEqual(['a', 'b', 'c']);
  for (const { end } of tasks) end();
  await Promise.all(tasks.map(({ done }) => done));
  expect(began).toEqual(['a', 'b', 'c', 'd']);
});

test('who gives up waiting takes nobody’s turn, whenever that is', async () => {
  const slots = new Slots(1);
  const began: string[] = [];
  const first = begin(slots, began, 'first');
  const waiting = new AbortController();
  const late = new AbortController();
  const gone = begin(slots, began, 'gone', waiting.signal);
  const overtaken = begin(slots, began, 'overtaken', late.signal);
  const last = begin(slots, began, 'last');
  waiting.abort();
  await expect(gone.done).rejects.toMatchObject({ code: 'cancelled' });
  first.end();
  // In the same moment as its turn comes.
  late.abort();
  await first.done;
  await overtaken.done.catch(() => undefined);
  overtaken.end();
  last.end();
  await last.done;
  expect(began.at(-1)).toBe('last');
  expect(began).not.toContain('gone');
});

test('a task that fails gives its place back', async () => {
  const slots = new Slots(1);
  await expect(slots.run(never, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(await slots.run(never, async () => 'next')).toBe('next');
});
