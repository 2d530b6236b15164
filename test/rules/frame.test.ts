import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { FragmentJoiner, splitFrame } from '../../protocol/fragments.ts';
import {
  type Body,
  type ClientFrame,
  decodeClientFrame,
  decodeServerFrame,
  encodeFrame,
  encodeFrameTransient,
  FRAME,
  type ServerFrame,
} from '../../protocol/frame.ts';
import { pack, unpack } from '../../protocol/msgpack.ts';
import { mutate } from '../support/mutate.ts';

const bytes = new Uint8Array([1, 2, 3]);

const clientFrames: readonly ClientFrame[] = [
  [FRAME.hello, 1, 'token', 'client'],
  [FRAME.request, 7, 'dataset.get', { datasetId: 1, nested: [null, true, 'ä€😀', 1.5, -3, 2 ** 40] }, 'key', false],
  [FRAME.request, 7, 'dataset.get', {}, null, true],
  [FRAME.body, 7, bytes, true],
  [FRAME.cancel, 7],
  [FRAME.credit, 7, 65_536],
  [FRAME.refresh, 'token'],
  [FRAME.fragment, 7, bytes, false],
  [FRAME.goodbye, 'bye', 0],
];

const serverFrames: readonly ServerFrame[] = [
  [FRAME.response, 7, { items: [], next: 'x' }],
  [FRAME.error, null, { code: 'internal', message: 'm', details: {} }, 'request'],
  [FRAME.item, 7, bytes],
  [FRAME.end, 7],
  [FRAME.progress, 7, { phase: 'p', done: 1, total: null, unit: 'rows' }],
  [FRAME.refreshed, { subject: 'alice', expiresAt: null }],
];

const refusal = (run: () => unknown): string => {
  try {
    run();
  } catch (fault) {
    if (fault instanceof CovistaError) return fault.code;
    throw fault;
  }
  return 'accepted';
};

describe('frames', () => {
  test.each(clientFrames.map((frame) => [frame] as const))('RPC10 %j of a client survives the wire', (frame) => {
    expect(decodeClientFrame(encodeFrame(frame))).toEqual(frame);
    expect(decodeClientFrame(encodeFrameTransient(frame))).toEqual(frame);
  });

  test.each(serverFrames.map((frame) => [frame] as const))('RPC10 %j of a server survives the wire', (frame) => {
    expect(decodeServerFrame(encodeFrame(frame))).toEqual(frame);
  });

  test('RPC10 frames of the wrong direction, length, type or kind of element are refused', () => {
    const wrong: unknown[] = [
      ...serverFrames.filter(([type]) => type !== FRAME.goodbye),
      ...clientFrames.map((frame) => frame.slice(0, -1)),
      ...clientFrames.map((frame) => [...frame, 1]),
      [],
      {},
      null,
      7,
      'text',
      ['hello'],
      [99],
      [21, 1, bytes],
      [FRAME.channel, 1, 'text'],
      [FRAME.cancel, -1],
      [FRAME.cancel, 1.5],
      [FRAME.cancel, '1'],
      [FRAME.cancel, null],
      [FRAME.body, 1, 'text', true],
      [FRAME.body, 1, [1], true],
      [FRAME.request, 1, 2, {}, null, false],
      [FRAME.request, 1, 'x', {}, 5, false],
      [FRAME.request, 1, 'x', {}, null, 0],
    ];
    expect(wrong.map((frame) => refusal(() => decodeClientFrame(pack(frame))))).toEqual(wrong.map(() => 'protocol_error'));
  });

  test('RPC10 lengths that lie, extensions, nesting without end and bytes that trail are refused', () => {
    const malformed: readonly (readonly number[])[] = [
      [],
      [0xdd, 0xff, 0xff, 0xff, 0xff],
      [0xdf, 0xff, 0xff, 0xff, 0xff],
      [0xdb, 0xff, 0xff, 0xff, 0xff],
      [0xc6, 0x7f, 0xff, 0xff, 0xff],
      [0xdd, 0xff],
      [0x92, 0x01],
      [0x81, 0x01],
      [0xa5, 0x61],
      [0xd9],
      [0xcf, 1, 2, 3],
      [0xc1],
      [0xd4, 1, 2],
      [0xc7, 1, 1, 1],
      [0x01, 0x01],
      new Array(100).fill(0x91),
      [...new Array(70).fill(0x91), 0x01],
    ];
    expect(malformed.map((given) => refusal(() => unpack(new Uint8Array(given))))).toEqual(malformed.map(() => 'protocol_error'));
  });

  test('RPC10 a key named __proto__ changes no prototype', () => {
    const decoded = unpack(new Uint8Array([0x81, 0xa9, ...new TextEncoder().encode('__proto__'), 0x81, 0xa1, 0x61, 0x01])) as Record<string, unknown>;
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
    expect(decoded.a).toBeUndefined();
  });

  test('RPC10 bytes are copied out of what they arrive in, small frames and large ones', () => {
    for (const size of [10, 10_000]) {
      const encoded = new Uint8Array(encodeFrame([FRAME.body, 1, new Uint8Array(size).fill(7), true]));
      const [, , content] = decodeClientFrame(encoded) as Body;
      encoded.fill(0);
      decodeClientFrame(encodeFrame([FRAME.body, 1, new Uint8Array(size), true]));
      expect(content).toEqual(new Uint8Array(size).fill(7));
    }
  });

  test('RPC10 any mutation of a frame decodes to a frame or is a protocol_error, never another fault', () => {
    const encoded = [...clientFrames, ...serverFrames].map((frame) => new Uint8Array(encodeFrame(frame)));
    fc.assert(
      fc.property(fc.constantFrom(...encoded), fc.infiniteStream(fc.nat()), (frame, choices) => {
        const outcome = refusal(() => decodeClientFrame(mutate(frame, choices)));
        expect(['accepted', 'protocol_error']).toContain(outcome);
      }),
      { seed: 20_261_122, numRuns: 5_000 },
    );
  });
});

describe('fragments', () => {
  test('RPC11 RPC18 a frame of any size comes out as it went in, whatever the size of its pieces', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3_000 }), fc.integer({ min: 1, max: 700 }), (content, fragmentBytes) => {
        const encoded = encodeFrame([FRAME.item, 1, content]);
        const joiner = new FragmentJoiner(10_000);
        const pieces = [...splitFrame(encoded, 4, fragmentBytes)];
        const joined = pieces.map((piece) => {
          const frame = encoded.length <= fragmentBytes ? undefined : decodeServerFrame(piece);
          return frame?.[0] === FRAME.fragment ? joiner.add(frame[1], frame[2], frame[3]) : piece;
        });
        expect(new Uint8Array(joined.at(-1) ?? [])).toEqual(new Uint8Array(encoded));
        expect(joined.slice(0, -1).every((piece) => piece === undefined)).toBe(true);
      }),
      { seed: 20_261_122, numRuns: 200 },
    );
  });
});
