import { isUtf8 } from 'node:buffer';
import protobuf from 'protobufjs/light.js';
import { RESPONSE } from './codec.ts';

const LENGTH_DELIMITED = 2;
const REPLACEMENT = 0x3f;

/**
 * Puts a `?` in the place of every byte of a response's texts that is no UTF-8, where it is: Perspective's expressions cut texts
 * between bytes, and no client can read a message with half a character. The response is not decoded, since it may be large.
 */
export function mendTexts(response: Uint8Array): void {
  mendMessage(RESPONSE, protobuf.Reader.create(response), response.length);
}

function mendMessage(type: protobuf.Type, reader: protobuf.Reader, end: number): void {
  while (reader.pos < end) {
    const tag = reader.uint32();
    const field = type.fieldsById[tag >>> 3];
    if ((tag & 7) !== LENGTH_DELIMITED) reader.skipType(tag & 7);
    else if (field?.map === true) mendEntry(field, reader);
    else mendValue(field, reader);
  }
}

/** An entry of a map is a message of its key (1) and its value (2). */
function mendEntry(field: protobuf.Field, reader: protobuf.Reader): void {
  const end = reader.uint32() + reader.pos;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if ((tag & 7) !== LENGTH_DELIMITED) reader.skipType(tag & 7);
    else if (tag >>> 3 === 1) mendText(reader);
    else mendValue(field, reader);
  }
}

function mendValue(field: protobuf.Field | undefined, reader: protobuf.Reader): void {
  if (field?.resolvedType instanceof protobuf.Type) {
    const end = reader.uint32() + reader.pos;
    mendMessage(field.resolvedType, reader, end);
  } else if (field?.type === 'string') mendText(reader);
  else reader.skipType(LENGTH_DELIMITED);
}

function mendText(reader: protobuf.Reader): void {
  const length = reader.uint32();
  const text = reader.buf.subarray(reader.pos, reader.pos + length);
  reader.skip(length);
  if (isUtf8(text)) return;
  for (let at = 0; at < text.length; ) {
    const characterBytes = bytesOf(text[at] as number);
    if (isUtf8(text.subarray(at, at + characterBytes))) at += characterBytes;
    else {
      text[at] = REPLACEMENT;
      at += 1;
    }
  }
}

/** How many bytes a character has that begins with this one. */
function bytesOf(first: number): number {
  if (first < 0xc0) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}
