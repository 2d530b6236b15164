import protobuf from 'protobufjs/light.js';
import { assert, present } from '../assert.ts';
import { ENUMS, type FieldShape, MESSAGES, type MessageShape } from './schema.ts';
import type { PerspectiveRequest, PerspectiveResponse, StatusCode } from './types.ts';

/** Bytes that are no message of the protocol as `schema.ts` knows it. */
export class EnvelopeFault extends Error {
  override readonly name = 'EnvelopeFault';
}

/** Deeper than any message of the protocol nests. */
const DEPTH_MAX = 8;

const root = protobuf.Root.fromJSON({
  nested: {
    ...Object.fromEntries(Object.entries(ENUMS).map(([name, values]) => [name, { values: { ...values } }])),
    ...Object.fromEntries(Object.entries(MESSAGES).map(([name, shape]) => [name, descriptorOf(shape)])),
  },
}).resolveAll();

const Request = root.lookupType('Request');
/** What every answer is. */
export const RESPONSE = root.lookupType('Response');

/** The request that the bytes are, every field known, within its type and at most once; throws EnvelopeFault otherwise. */
export function decodeRequest(bytes: Uint8Array): PerspectiveRequest {
  return decode(Request, bytes, true) as PerspectiveRequest;
}

export function encodeRequest(request: PerspectiveRequest): Uint8Array {
  return encode(Request, request);
}

/** The response that the bytes are. Fields that are not known are left out. */
export function decodeResponse(bytes: Uint8Array): PerspectiveResponse {
  return decode(RESPONSE, bytes, false) as PerspectiveResponse;
}

export function encodeResponse(response: PerspectiveResponse): Uint8Array {
  return encode(RESPONSE, response);
}

export function errorResponse(msgId: number, entityId: string, message: string, code: StatusCode = 'server_error'): Uint8Array {
  return encodeResponse({ msgId, entityId, kind: 'server_error', body: { message, status_code: code } });
}

/** The number by which the bytes ask to be answered, if they say so in front; undefined otherwise. */
export function messageIdOf(bytes: Uint8Array): number | undefined {
  try {
    const reader = protobuf.Reader.create(bytes);
    return reader.len > 0 && reader.uint32() === 8 ? reader.uint32() : undefined;
  } catch {
    // What breaks off within a number has none.
    return undefined;
  }
}

interface Envelope {
  readonly msgId: number;
  readonly entityId: string;
  readonly kind: string;
  readonly body: unknown;
}

function decode(type: protobuf.Type, bytes: Uint8Array, isStrict: boolean): Envelope {
  try {
    if (isStrict) checkMessage(type, protobuf.Reader.create(bytes), bytes.length, 0);
    const {
      msg_id,
      entity_id,
      body: kind,
      ...bodies
    } = type.toObject(type.decode(bytes), { enums: String, longs: Number, defaults: true, oneofs: true });
    if (kind === undefined) throw new EnvelopeFault('the message has no body that is known');
    return { msgId: msg_id, entityId: entity_id, kind, body: bodies[kind] };
  } catch (fault) {
    if (fault instanceof EnvelopeFault) throw fault;
    throw new EnvelopeFault('the bytes are no message of the protocol', { cause: fault });
  }
}

function encode(type: protobuf.Type, { msgId, entityId, kind, body }: Envelope): Uint8Array {
  return type.encode(type.fromObject({ msg_id: msgId, entity_id: entityId, [kind]: body })).finish();
}

/** Decoders pass over what they do not know, and take the last of several; who guards must not. */
function checkMessage(type: protobuf.Type, reader: protobuf.Reader, end: number, depth: number): void {
  if (depth > DEPTH_MAX) throw new EnvelopeFault('the message nests too deep');
  const seen = new Set<string>();
  while (reader.pos < end) {
    const tag = reader.uint32();
    const field = type.fieldsById[tag >>> 3];
    if (field === undefined) throw new EnvelopeFault(`${type.name} has no field ${tag >>> 3}`);
    // Fields of which one excludes the others count as one; those that may be absent are alone in their group.
    const once = field.partOf?.name ?? field.name;
    if (!field.repeated && !field.map && seen.has(once)) throw new EnvelopeFault(`${type.name} has ${once} twice`);
    seen.add(once);
    checkField(field, reader, tag & 7, depth);
  }
  if (reader.pos !== end) throw new EnvelopeFault(`${type.name} does not end where it says`);
}

function checkField(field: protobuf.Field, reader: protobuf.Reader, wireType: number, depth: number): void {
  if (field.map) {
    if (wireType !== 2) throw wrongType(field);
    checkEntry(field, reader, depth);
    return;
  }
  const expected = wireTypeOf(field);
  const isPacked = field.repeated && wireType === 2 && expected !== 2;
  if (wireType !== expected && !isPacked) throw wrongType(field);
  if (field.resolvedType instanceof protobuf.Type) {
    const length = reader.uint32();
    checkMessage(field.resolvedType, reader, reader.pos + length, depth + 1);
  } else if (field.resolvedType instanceof protobuf.Enum && !isPacked) {
    const value = reader.int32();
    if (!(value in field.resolvedType.valuesById)) throw new EnvelopeFault(`${field.fullName} has no value ${value}`);
  } else {
    reader.skipType(wireType);
  }
}

/** An entry of a map is a message of its key (1) and its value (2). */
function checkEntry(field: protobuf.Field, reader: protobuf.Reader, depth: number): void {
  const length = reader.uint32();
  const end = reader.pos + length;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag >>> 3 === 2 && field.resolvedType instanceof protobuf.Type) {
      if ((tag & 7) !== 2) throw wrongType(field);
      const valueLength = reader.uint32();
      checkMessage(field.resolvedType, reader, reader.pos + valueLength, depth + 1);
    } else if (tag >>> 3 === 1 || tag >>> 3 === 2) reader.skipType(tag & 7);
    else throw new EnvelopeFault(`an entry of ${field.name} has no field ${tag >>> 3}`);
  }
  if (reader.pos !== end) throw new EnvelopeFault(`an entry of ${field.name} does not end where it says`);
}

const wrongType = (field: protobuf.Field): EnvelopeFault => new EnvelopeFault(`${field.name} is of another type`);

function wireTypeOf(field: protobuf.Field): number {
  if (field.resolvedType instanceof protobuf.Enum) return 0;
  if (field.resolvedType !== null) return 2;
  const wireType = protobuf.types.basic[field.type as keyof typeof protobuf.types.basic];
  assert(wireType !== undefined, `the type ${field.type}`);
  return wireType;
}

/** Values that may be absent are alone in a group, so that they get no default. */
function descriptorOf({ fields, oneofs = {} }: MessageShape): protobuf.IType {
  const alone = Object.keys(fields).filter((name) => present(fields[name], name).optional === true);
  const groups = { ...Object.fromEntries(alone.map((name) => [`_${name}`, [name]])), ...oneofs };
  return {
    fields: Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, fieldDescriptorOf(field)])),
    oneofs: Object.fromEntries(Object.entries(groups).map(([name, members]) => [name, { oneof: [...members] }])),
  };
}

function fieldDescriptorOf({ id, type, repeated, keyType, optional }: FieldShape): protobuf.IField {
  if (keyType !== undefined) return { id, type, keyType } as protobuf.IMapField;
  return { id, type, ...(repeated ? { rule: 'repeated' } : {}), ...(optional ? { options: { proto3_optional: true } } : {}) };
}
