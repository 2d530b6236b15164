import { expect, test } from 'vitest';
import { ByteQueue } from '../../server/shared/byte-queue.ts';

const LARGE_BYTES = 200_000;

/** Fills one buffer with a mark after the other, as an engine does that takes its buffer back. */
function pushMarks(queue: ByteQueue, marks: readonly number[]): void {
  const buffer = new Uint8Array(LARGE_BYTES);
  for (const mark of marks) queue.pushCopy(buffer.fill(mark));
}

test('a copied chunk keeps its bytes until the next one is asked for, however many follow', async () => {
  const queue = new ByteQueue(() => undefined);
  const marks = Array.from({ length: 100 }, (_, index) => index + 1);
  pushMarks(queue, marks.slice(0, 50));
  const seen: number[] = [];
  for await (const chunk of queue) {
    if (seen.length === 20) pushMarks(queue, marks.slice(50));
    await Promise.resolve();
    expect(chunk.every((byte) => byte === chunk[0])).toBe(true);
    expect(chunk).toHaveLength(LARGE_BYTES);
    seen.push(chunk[0] ?? 0);
    if (seen.length === marks.length) queue.end();
  }
  expect(seen).toEqual(marks);
});

test('queues that are read at once do not write into each other’s chunks', async () => {
  const queues = Array.from({ length: 8 }, () => new ByteQueue(() => undefined));
  await Promise.all(
    queues.map(async (queue, index) => {
      let chunks = 0;
      pushMarks(queue, [index, index]);
      for await (const chunk of queue) {
        chunks += 1;
        if (chunks < 20) pushMarks(queue, [index]);
        else queue.end();
        await new Promise((resolve) => setImmediate(resolve));
        expect(chunk.every((byte) => byte === index)).toBe(true);
      }
      expect(chunks).toBe(21);
    }),
  );
});

test('what an abandoned queue still gets counts as consumed', async () => {
  let consumedBytes = 0;
  const queue = new ByteQueue((bytes) => {
    consumedBytes += bytes;
  });
  pushMarks(queue, [1]);
  queue.abandon();
  pushMarks(queue, [2]);
  expect(consumedBytes).toBe(2 * LARGE_BYTES);
});
