import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deliver } from '../../server/services/schedules/webhook.ts';
import { parseNetworks } from '../../server/shared/addresses.ts';

const MiB = 1024 ** 2;
/** More than the system keeps for a reader who is slow. */
const BYTES = 96 * MiB;

let directory: string;
let receiver: Server;
let url: string;

/** Takes some, rests, and answers when it has everything: about 40 MiB a second. */
function takeSlowly(socket: Socket): void {
  let taken = 0;
  let rested = 0;
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    taken += chunk.length;
    if (taken > BYTES) socket.end('HTTP/1.1 204 No Content\r\n\r\n');
    else if (taken - rested >= MiB) {
      rested = taken;
      socket.pause();
      setTimeout(() => socket.resume(), 25);
    }
  });
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'covista-pace-'));
  await writeFile(join(directory, 'file'), Buffer.alloc(BYTES));
  receiver = createServer(takeSlowly);
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(receiver.address() as { port: number }).port}/`;
});

afterAll(async () => {
  receiver.close();
  await rm(directory, { recursive: true, force: true });
});

function send(bytesPerSecondMin: number, timeoutMs: number): Promise<void> {
  const secrets = { url, secret: 'secret', authorization: null };
  const what = { method: 'PUT', path: join(directory, 'file'), bytes: BYTES, messageId: 'run-1', headers: {} } as const;
  const options = { allowed: parseNetworks(['127.0.0.1']), timeoutMs, bytesPerSecondMin, nowMs: 0 };
  return deliver({ ...what, secrets, signal: new AbortController().signal }, options);
}

test('SCH7 who takes bits of a file, slower than is bearable, has failed', async () => {
  await expect(send(1024 * MiB, 500)).rejects.toMatchObject({ code: 'timeout', details: { webhookBytesPerSecondMin: 1024 * MiB } });
});

test('SCH7 who takes it slower than it could be sent, but steadily, gets all of it', async () => {
  await expect(send(1024, 30_000)).resolves.toBeUndefined();
});
