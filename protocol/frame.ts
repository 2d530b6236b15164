import { CovistaError, type ErrorBody } from './errors.ts';
import { pack, packTransient, unpack } from './msgpack.ts';

/**
 * The frames of `ws /rpc` (SPEC.md, section RPC). A frame is one msgpack array whose first element says what it is. Numbers
 * are part of the contract.
 */
export const FRAME = {
  hello: 0,
  request: 1,
  body: 2,
  cancel: 3,
  credit: 4,
  refresh: 5,
  fragment: 6,
  goodbye: 7,
  welcome: 10,
  response: 11,
  error: 12,
  item: 13,
  end: 14,
  progress: 15,
  refreshed: 16,
  channel: 20,
} as const;

/** A request's number, chosen by the client; unique among its requests in flight. */
export type RequestNumber = number;

export interface SessionInfo {
  readonly subject: string;
  /** ISO 8601; null: the token never ends. */
  readonly expiresAt: string | null;
}

/** How far a long operation has come; advisory, and dropped when the reader is slow. */
export interface Progress {
  readonly phase: string;
  readonly done: number;
  readonly total: number | null;
  readonly unit: 'bytes' | 'rows' | 'steps';
}

/** What a client must know to stay within the server's bounds. */
export interface Bounds {
  readonly frameBytesMax: number;
  readonly requestBytesMax: number;
  readonly fragmentBytes: number;
  readonly requestsInFlightMax: number;
  readonly channelsMax: number;
  readonly streamCreditBytes: number;
  readonly uploadChunkBytesMax: number;
}

export type Hello = readonly [typeof FRAME.hello, protocolVersion: number, token: string, client: string];
export type Request = readonly [
  typeof FRAME.request,
  number: RequestNumber,
  operation: string,
  input: unknown,
  idempotencyKey: string | null,
  hasBody: boolean,
];
export type Body = readonly [typeof FRAME.body, number: RequestNumber, bytes: Uint8Array, last: boolean];
export type Cancel = readonly [typeof FRAME.cancel, number: RequestNumber];
/** More bytes of a stream's items (client to server) or of a request's body (server to client) may be sent. */
export type Credit = readonly [typeof FRAME.credit, number: RequestNumber, bytes: number];
export type Refresh = readonly [typeof FRAME.refresh, token: string];
/** A piece of a frame that is larger than `fragmentBytes`; pieces of one lane are joined in order until `more` is false. */
export type Fragment = readonly [typeof FRAME.fragment, lane: number, bytes: Uint8Array, more: boolean];
export type Goodbye = readonly [typeof FRAME.goodbye, reason: string, reconnectDelayMs: number];
export type Welcome = readonly [typeof FRAME.welcome, protocolVersion: number, session: SessionInfo, bounds: Bounds, connectionId: string];
export type Response = readonly [typeof FRAME.response, number: RequestNumber, result: unknown];
/** `number` is null when the error concerns the connection. */
export type ErrorFrame = readonly [typeof FRAME.error, number: RequestNumber | null, error: ErrorBody, requestId: string];
export type Item = readonly [typeof FRAME.item, number: RequestNumber, item: unknown];
export type End = readonly [typeof FRAME.end, number: RequestNumber];
export type ProgressFrame = readonly [typeof FRAME.progress, number: RequestNumber, progress: Progress];
/** One message of the channel that the request opened, in either direction. */
export type ChannelFrame = readonly [typeof FRAME.channel, number: RequestNumber, bytes: Uint8Array];
export type Refreshed = readonly [typeof FRAME.refreshed, session: SessionInfo];

export type ClientFrame = Hello | Request | Body | Cancel | Credit | Refresh | Fragment | Goodbye | ChannelFrame;
export type ServerFrame = Welcome | Response | ErrorFrame | Item | End | ProgressFrame | Credit | Refreshed | Fragment | Goodbye | ChannelFrame;
export type Frame = ClientFrame | ServerFrame;

const isNumber = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isText = (value: unknown): boolean => typeof value === 'string';
const isFlag = (value: unknown): boolean => typeof value === 'boolean';
const isBytes = (value: unknown): boolean => value instanceof Uint8Array;
const isAnything = (): boolean => true;
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);
const orNull =
  (check: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === null || check(value);

type Shape = readonly ((value: unknown) => boolean)[];

const CLIENT_SHAPES: Readonly<Record<number, Shape>> = {
  [FRAME.hello]: [isNumber, isText, isText],
  [FRAME.request]: [isNumber, isText, isAnything, orNull(isText), isFlag],
  [FRAME.body]: [isNumber, isBytes, isFlag],
  [FRAME.cancel]: [isNumber],
  [FRAME.credit]: [isNumber, isNumber],
  [FRAME.refresh]: [isText],
  [FRAME.fragment]: [isNumber, isBytes, isFlag],
  [FRAME.goodbye]: [isText, isNumber],
  [FRAME.channel]: [isNumber, isBytes],
};

const SERVER_SHAPES: Readonly<Record<number, Shape>> = {
  [FRAME.welcome]: [isNumber, isObject, isObject, isText],
  [FRAME.response]: [isNumber, isAnything],
  [FRAME.error]: [orNull(isNumber), isObject, isText],
  [FRAME.item]: [isNumber, isAnything],
  [FRAME.end]: [isNumber],
  [FRAME.progress]: [isNumber, isObject],
  [FRAME.credit]: [isNumber, isNumber],
  [FRAME.refreshed]: [isObject],
  [FRAME.fragment]: [isNumber, isBytes, isFlag],
  [FRAME.goodbye]: [isText, isNumber],
  [FRAME.channel]: [isNumber, isBytes],
};

export function encodeFrame(frame: Frame): Uint8Array {
  return pack(frame);
}

/** Like `encodeFrame`, for bytes that are sent or copied before the next frame is encoded. */
export function encodeFrameTransient(frame: Frame): Uint8Array {
  return packTransient(frame);
}

/** Decodes a frame from a client; throws `protocol_error` when it is none. */
export function decodeClientFrame(bytes: Uint8Array): ClientFrame {
  return decode(bytes, CLIENT_SHAPES) as ClientFrame;
}

/** Decodes a frame from a server; throws `protocol_error` when it is none. */
export function decodeServerFrame(bytes: Uint8Array): ServerFrame {
  return decode(bytes, SERVER_SHAPES) as ServerFrame;
}

function decode(bytes: Uint8Array, shapes: Readonly<Record<number, Shape>>): unknown {
  const frame = unpack(bytes);
  if (!Array.isArray(frame) || typeof frame[0] !== 'number')
    throw new CovistaError('protocol_error', 'a frame is an array that begins with its type');
  const shape = shapes[frame[0]];
  if (shape === undefined) throw new CovistaError('protocol_error', `there is no frame of type ${frame[0]} in this direction`);
  if (frame.length !== shape.length + 1)
    throw new CovistaError('protocol_error', `a frame of type ${frame[0]} has ${shape.length + 1} elements, not ${frame.length}`);
  for (let index = 0; index < shape.length; index += 1) {
    if (!shape[index]?.(frame[index + 1]))
      throw new CovistaError('protocol_error', `element ${index + 1} of a frame of type ${frame[0]} is of the wrong kind`);
  }
  return frame;
}
