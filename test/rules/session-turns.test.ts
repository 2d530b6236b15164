import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { SessionTurns } from '../../server/workers/session-turns.ts';

const [AWHILE_MS, TURNS] = [60_000, 20];
const request = (number: number): Uint8Array => Uint8Array.of(number);

async function turnsPass(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) await setImmediate();
}

test('TB21 MEM7 one request of each table is done in turn, and of each session of a table, in the order in which it asked', async () => {
  const done: string[] = [];
  const turns = new SessionTurns<Uint8Array>(AWHILE_MS, (session, bytes) => done.push(`${session}:${bytes[0]}`));
  for (const session of [1, 2]) turns.open(session, 'crowded');
  turns.open(3, 'quiet');
  for (const number of [1, 2, 3]) turns.add(1, request(number));
  turns.add(2, request(1));
  for (const number of [1, 2]) turns.add(3, request(number));
  await turnsPass();
  expect(done).toEqual(['1:1', '3:1', '2:1', '3:2', '1:2', '1:3']);
});

test('TB21 MEM7 what is done in one turn ends with its time, so that who comes meanwhile is heard', async () => {
  const done: number[] = [];
  const turns = new SessionTurns<Uint8Array>(0, (session) => {
    done.push(session);
    if (done.length === 2) turns.add(2, request(1));
  });
  for (const session of [1, 2]) turns.open(session, `table ${session}`);
  for (let number = 0; number < 4; number += 1) turns.add(1, request(number));
  await turnsPass();
  expect(done).toEqual([1, 1, 1, 2, 1]);
});

test('TB21 MEM7 nothing is done for a session that has ended, which is told what waited, nor for one that never began', async () => {
  const done: number[] = [];
  const turns = new SessionTurns<Uint8Array>(0, (session) => done.push(session));
  for (const session of [1, 2]) turns.open(session, 'table');
  expect([1, 2, 2, 4].map((session) => turns.add(session, request(1)))).toEqual([true, true, true, false]);
  expect([turns.close(1), turns.close(4)]).toEqual([[request(1)], []]);
  await turnsPass();
  expect(done).toEqual([2, 2]);
  turns.close(2);
  turns.add(2, request(1));
  await turnsPass();
  expect(done).toEqual([2, 2]);
});
