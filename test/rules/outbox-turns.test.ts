import { expect, test } from 'vitest';
import { FRAME } from '../../protocol/frame.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { Outbox } from '../../server/socket/outbox.ts';

function outboxOn(send: () => number): Outbox {
  const socket = { send, getBufferedAmount: () => 0, cork: (run: () => void) => run() };
  return new Outbox({ socket, limits: defaultLimits, onOverflow: () => undefined });
}

test('what fails on one socket keeps no other from what is sent in the same turn', async () => {
  let sent = 0;
  const broken = outboxOn(() => {
    throw new Error('this socket is broken');
  });
  const sound = outboxOn(() => {
    sent += 1;
    return 1;
  });
  const faults: unknown[] = [];
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.once('uncaughtException', (fault) => faults.push(fault));
  try {
    for (const outbox of [broken, sound, sound]) outbox.send([FRAME.end, 1], 1, 'respond');
    await new Promise((resolve) => setImmediate(resolve));
    sound.send([FRAME.end, 2], 2, 'respond');
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener);
  }
  expect(sent).toBe(3);
  expect(faults.map(String)).toEqual(['Error: this socket is broken']);
});
