import { expect, test } from 'vitest';
import { Closers } from '../../server/shared/closers.ts';

test('SCH11 BAK12 what takes its time begins to stop with everybody else, is stopped once and waited for', async () => {
  const closers = new Closers();
  const order: string[] = [];
  let finish = (): void => undefined;
  closers.add(() => void order.push('first'));
  closers.addSlow(async () => {
    order.push('slow begins');
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    order.push('slow ends');
  });
  closers.add(() => void order.push('last'));
  closers.begin();
  expect(order).toEqual(['slow begins']);
  const closing = closers.close();
  await Promise.resolve();
  finish();
  await closing;
  expect(order).toEqual(['slow begins', 'last', 'slow ends', 'first']);
});

test('SCH11 what fails to stop while others still finish is told to whoever closes', async () => {
  const closers = new Closers();
  closers.addSlow(() => Promise.reject(new Error('the database is away')));
  closers.begin();
  await expect(closers.close()).rejects.toMatchObject({ errors: [{ message: 'the database is away' }] });
});
