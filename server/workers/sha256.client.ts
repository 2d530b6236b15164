import { Worker } from 'node:worker_threads';
import { present } from '../shared/assert.ts';
import type { FromSha256, ToSha256 } from './sha256.protocol.ts';

/** A SHA-256 that grows in another thread. */
export interface BackgroundSha256 {
  /** Resolves when the bytes may change again. One call at a time. */
  update(bytes: Uint8Array): Promise<void>;
  /** The digest in hexadecimal; nothing may follow. */
  digest(): Promise<string>;
  /** Instead of `digest`. */
  abandon(): void;
}

/** Beside this file, with its extension: a checkout runs TypeScript, a package JavaScript. */
const WORKER = new URL(import.meta.url.replace(/\.client(\.\w+)$/, '.worker$1'));

/** One thread that hashes for everybody. It starts with the first hash, and anew after a fault, which fails what was under way. */
export class Sha256Thread {
  #worker: Worker | undefined;
  /** Those who wait for an answer, in the order of their questions: one for each hash that grows. */
  #waiting: PromiseWithResolvers<string | null>[] = [];
  #hashes = 0;

  create(): BackgroundSha256 {
    this.#hashes += 1;
    const hash = this.#hashes;
    const worker = this.#start();
    return {
      update: async (bytes) => {
        await this.#ask(worker, { kind: 'update', hash, bytes });
      },
      digest: async () => present(await this.#ask(worker, { kind: 'finish', hash }), 'the digest'),
      // The answer, even that the thread is gone, is nobody's concern.
      abandon: () => void this.#ask(worker, { kind: 'finish', hash }).catch(() => undefined),
    };
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(WORKER, { name: 'sha256' });
    this.#worker = worker;
    worker.unref();
    worker.on('message', ({ sha256 }: FromSha256) => {
      this.#waiting.shift()?.resolve(sha256);
      if (this.#waiting.length === 0) worker.unref();
    });
    worker.once('error', (error) => this.#lose(error));
    worker.once('exit', () => this.#lose(new Error('the hashing thread ended')));
    return worker;
  }

  /** Keeps the process alive for as long as somebody waits. */
  #ask(worker: Worker, message: ToSha256): Promise<string | null> {
    if (worker !== this.#worker) return Promise.reject(new Error('the hashing thread that began this hash ended'));
    const settle = Promise.withResolvers<string | null>();
    this.#waiting.push(settle);
    worker.ref();
    worker.postMessage(message);
    return settle.promise;
  }

  #lose(reason: Error): void {
    this.#worker = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(reason);
  }
}
