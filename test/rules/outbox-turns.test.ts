import { expect, test } from 'vitest';
import { decodeServerFrame, FRAME } from '../../protocol/frame.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { Outbox } from '../../server/socket/outbox.ts';

function outboxOn(send: (bytes: Uint8Array) => number): Outbox {
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

test('one message to many arrives under the number of each channel, and what follows it is not taken for it', async () => {
  const [hello, bye] = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)];
  const readers = [1, 1, 1, 7, 7, 1].map((number) => {
    const frames: unknown[] = [];
    const outbox = outboxOn((bytes) => {
      frames.push(decodeServerFrame(bytes));
      return 1;
    });
    return { number, frames, outbox };
  });
  for (const message of [hello, bye, hello]) for (const { number, outbox } of readers) outbox.sendOnChannel(message, number);
  readers[0]?.outbox.sendOnChannel(bye, 1);
  await new Promise((resolve) => setImmediate(resolve));
  for (const [index, { number, frames }] of readers.entries()) {
    const heard = index === 0 ? [hello, bye, hello, bye] : [hello, bye, hello];
    expect(frames).toEqual(heard.map((message) => [FRAME.channel, number, message]));
  }
});
