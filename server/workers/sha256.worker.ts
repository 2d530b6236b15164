import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { present } from '../shared/assert.ts';
import type { FromSha256, ToSha256 } from './sha256.protocol.ts';

const port = present(parentPort, 'the port of the thread that started this one');
const hashes = new Map<number, Hash>();

function answer(message: ToSha256): FromSha256 {
  const hash = hashes.get(message.hash) ?? createHash('sha256');
  if (message.kind === 'update') {
    hashes.set(message.hash, hash.update(message.bytes));
    return { sha256: null };
  }
  hashes.delete(message.hash);
  return { sha256: hash.digest('hex') };
}

port.on('message', (message: ToSha256) => port.postMessage(answer(message)));
