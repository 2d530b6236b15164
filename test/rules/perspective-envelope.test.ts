import { describe, expect, test } from 'vitest';
import {
  decodeRequest,
  decodeResponse,
  EnvelopeFault,
  encodeRequest,
  encodeResponse,
  errorResponse,
  messageIdOf,
} from '../../server/shared/perspective/codec.ts';

const bytesOf = (hex: string): Uint8Array => Buffer.from(hex, 'hex');

/** As the unmodified client sent them. */
const SENT = {
  view: '08a5dcd23f12017432230a154b4d4653736a797a6b78756a684c716c4e704a5564120a1a0812060a046e6f7065',
  onRemove: '0888c3fdd40a121567525551774d656f62706f72706f58575041727166ba0200',
  rows: '0889bae69e08121567525551774d656f62706f72706f58575041727166d201060a0408001801',
  expressions: '08d9e58ff0051201744a0b0a090a017812042261222b',
};

/** As the unmodified server answered them. */
const ANSWERED = {
  extremes: '089c92ef7f121567525551774d656f62706f72706f58575041727166a201160a0921000000000000f03f1209210000000000000840',
  system: '08ea8dcdda098a010d08808080081088bd10181f202d',
  error: '08a5dcd23f12017492032f0a2d496e76616c696420636f6c756d6e20276e6f70652720666f756e6420696e205669657720636f6c756d6e732e0a',
};

describe('the envelopes of Perspective', () => {
  test.each(Object.entries(SENT))('a request of its client comes back the same: %s', (_name, hex) => {
    expect(Buffer.from(encodeRequest(decodeRequest(bytesOf(hex)))).toString('hex')).toBe(hex);
  });

  test.each(Object.entries(ANSWERED))('a response of its server comes back the same: %s', (_name, hex) => {
    expect(Buffer.from(encodeResponse(decodeResponse(bytesOf(hex)))).toString('hex')).toBe(hex);
  });

  test('what is absent has its default, and what may be absent stays so', () => {
    const request = decodeRequest(bytesOf(SENT.rows));
    expect(request).toMatchObject({ msgId: 2_212_076_809, entityId: 'gRUQwMeobporpoXWPArqf', kind: 'view_to_rows_string' });
    expect(request.body).toEqual({ viewport: { start_row: 0, end_row: 1 } });
  });

  test.each([
    ['a field of a later version', '08012200c80201'],
    ['two bodies', '080122002200'],
    ['a body that breaks off', '0801220018'],
    ['a number twice', '08012202080108'],
    ['an unknown field of a body', '0801220412021000'],
    ['no body', '0801'],
    ['nothing', ''],
    ['an unknown value of an enumeration', '08011a02aa0106'],
    ['bytes of nothing', 'ffffffffffffffff'],
  ])('%s is refused', (_name, hex) => {
    expect(() => decodeRequest(bytesOf(hex))).toThrow(EnvelopeFault);
  });

  test('the number to answer to is found in what cannot be read', () => {
    expect(messageIdOf(bytesOf('08a5dcd23fc80201'))).toBe(133_475_877);
    expect(messageIdOf(bytesOf('ff'))).toBeUndefined();
    expect(decodeResponse(errorResponse(7, 't', 'no'))).toEqual({
      msgId: 7,
      entityId: 't',
      kind: 'server_error',
      body: { message: 'no', status_code: 'server_error' },
    });
  });
});
