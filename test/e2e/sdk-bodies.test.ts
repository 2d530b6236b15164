import { describe, expect, test } from 'vitest';
import { CovistaError } from '../../client/index.ts';
import type { CallContext } from '../../server/operations/handler.ts';
import { gate, startSdk } from '../support/sdk.ts';

describe('bodies', () => {
  const collect = async (_input: unknown, { body }: CallContext): Promise<unknown> => {
    let offset = 0;
    let sum = 0;
    for await (const piece of body ?? []) {
      offset += piece.length;
      for (const byte of piece) sum += byte;
    }
    return { offset, sum };
  };
  const uploadId = '5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e';
  const bytes = Uint8Array.from({ length: 3_000_000 }, (_, index) => index % 251);
  const sum = bytes.reduce((total, byte) => total + byte, 0);

  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
  }

  test.each([
    ['bytes', () => bytes],
    ['a Blob', () => new Blob([bytes])],
    ['a stream', () => new Blob([bytes]).stream()],
    ['an async iterable', pieces],
  ])('SDK6 a body of %s arrives whole, with more bytes than the window', async (_name, body) => {
    const { client } = await startSdk({ handlers: { 'upload.write': collect }, limits: { streamCreditBytes: 131_072 } });
    expect(await client.upload.write({ uploadId, offset: 0 }, { body: body() })).toEqual({ offset: bytes.length, sum });
  });

  test('SDK6 a body is sent no faster than the server reads it', async () => {
    const reading = gate();
    let pulled = 0;
    const handlers = {
      'upload.write': async (input: unknown, context: CallContext) => {
        await reading.opened;
        return collect(input, context);
      },
    };
    const { client, proxy } = await startSdk({ handlers, limits: { streamCreditBytes: 131_072 } });
    await client.ready();
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const piece of pieces()) {
        pulled += piece.length;
        yield piece;
      }
    }
    const answer = client.upload.write({ uploadId, offset: 0 }, { body: counted() });
    await expect.poll(() => proxy.sentBytes).toBeGreaterThan(131_072);
    await client.session.whoami();
    expect(pulled).toBeLessThanOrEqual(200_000);
    reading.open();
    expect(await answer).toEqual({ offset: bytes.length, sum });
  });

  test('SDK4 bytes are sent again after a lost connection; a stream cannot be, and the error says so', async () => {
    const { client, proxy } = await startSdk({ handlers: { 'upload.write': collect } });
    await client.ready();
    proxy.cutAfter(1_000_000);
    expect(await client.upload.write({ uploadId, offset: 0 }, { body: bytes })).toEqual({ offset: bytes.length, sum });
    proxy.cutAfter(1_000_000);
    const lost = client.upload.write({ uploadId, offset: 0 }, { body: pieces() });
    await expect(lost).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('upload.file'),
      details: { operation: 'upload.write', interrupted: true },
    });
  });

  test('SDK4 a source that fails cancels the command and is named as the cause', async () => {
    const { client } = await startSdk({ handlers: { 'upload.write': collect } });
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 1_000);
      throw new Error('the disk is gone');
    }
    const failed = client.upload.write({ uploadId, offset: 0 }, { body: broken() });
    await expect(failed).rejects.toMatchObject({ code: 'cancelled', cause: { message: 'the disk is gone' } });
    expect((await client.session.whoami()).subject).toBe('alice');
  });

  test('SDK6 a source is released when the server answers before it has read everything', async () => {
    let released = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        while (true) yield new Uint8Array(10_000);
      } finally {
        released = true;
      }
    }
    const { client } = await startSdk({
      handlers: {
        'upload.write': async () => {
          throw new CovistaError('payload_too_large', 'too much');
        },
      },
    });
    await expect(client.upload.write({ uploadId, offset: 0 }, { body: endless() })).rejects.toMatchObject({ code: 'payload_too_large' });
    await expect.poll(() => released).toBe(true);
  });

  test('SDK9 a body for an operation that takes none is refused before anything is sent', async () => {
    const { client } = await startSdk();
    await expect(client.dataset.create({ name: 'x' }, { body: bytes })).rejects.toMatchObject({ code: 'invalid_input' });
  });
});
