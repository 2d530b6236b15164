import protobuf from 'protobufjs/minimal.js';
import { REQUESTS } from './schema.ts';
import type { ResponseKind } from './types.ts';

/** What stands in front of a response, read without its body, which may be many megabytes. */
export interface ResponseHeader {
  readonly msgId: number;
  readonly kind: ResponseKind;
  /** Where the body begins, with its tag. */
  readonly bodyAt: number;
}

const MSG_ID = 1;
const ENTITY_ID = 2;
const SERVER_ERROR = 50;
const KINDS: ReadonlyMap<number, ResponseKind> = new Map<number, ResponseKind>([
  ...Object.entries(REQUESTS).map(([kind, id]) => [id, kind as ResponseKind] as const),
  [SERVER_ERROR, 'server_error'],
]);

/** The header of a response whose fields are in order, as every encoder writes them; undefined for what is none. */
export function readHeader(bytes: Uint8Array): ResponseHeader | undefined {
  const reader = protobuf.Reader.create(bytes);
  let msgId = 0;
  try {
    while (reader.pos < reader.len) {
      const bodyAt = reader.pos;
      const tag = reader.uint32();
      if (tag >>> 3 === MSG_ID) msgId = reader.uint32();
      else if (tag >>> 3 === ENTITY_ID) reader.skip(reader.uint32());
      else {
        const kind = KINDS.get(tag >>> 3);
        return kind && { msgId, kind, bodyAt };
      }
    }
  } catch (fault) {
    if (!(fault instanceof RangeError)) throw fault;
  }
  return undefined;
}

/** The response under another number and entity, its body as it is. */
export function withHeader(
  bytes: Uint8Array,
  { bodyAt }: ResponseHeader,
  { msgId, entityId }: { readonly msgId: number; readonly entityId: string },
): Uint8Array {
  const writer = protobuf.Writer.create().uint32(8).uint32(msgId);
  if (entityId !== '') writer.uint32(18).string(entityId);
  const header = writer.finish();
  const whole = new Uint8Array(header.length + bytes.length - bodyAt);
  whole.set(header);
  whole.set(bytes.subarray(bodyAt), header.length);
  return whole;
}
