import protobuf from 'protobufjs/minimal.js';
import { CovistaError } from '../../protocol/errors.ts';
import { present } from '../shared/assert.ts';
import {
  decodeRequest,
  decodeResponse,
  EnvelopeFault,
  encodeRequest,
  encodeResponse,
  errorResponse,
  messageIdOf,
} from '../shared/perspective/codec.ts';
import { readHeader } from '../shared/perspective/header.ts';
import { mendTexts } from '../shared/perspective/mend-texts.ts';
import { REQUESTS } from '../shared/perspective/schema.ts';
import type { PerspectiveRequest, PerspectiveResponse } from '../shared/perspective/types.ts';
import { linesInsteadOfRows, rowsInsteadOfLines } from '../shared/perspective/windowed-lines.ts';
import type { EngineResponse, PerspectiveEngine } from './perspective-engine.ts';
import type { EngineMemory, LoadedTable, MemoryHoldings, MemoryResponse, MemorySettings } from './perspective-memory.protocol.ts';

interface Session {
  readonly client: number;
  /** Ids of the views that it made and that are still there. */
  readonly views: Set<string>;
}

/** What a request means for the views that there are. */
interface Account {
  /** Given in the place of the engine's. */
  readonly answer?: Uint8Array;
  /** Called when the engine did what was asked. */
  done(): void;
}

const nothing = (): void => undefined;
const NO_ACCOUNT: Account = { done: nothing };

/** Requests that are looked into: those that make and delete views, and those that open and close rows of them. */
const ACCOUNTED: ReadonlySet<string> = new Set(['table_make_view', 'view_delete', 'view_collapse', 'view_expand', 'view_set_depth']);
/** The engine reads what is greater as negative. */
const SIGNED_MAX = 2 ** 31 - 1;

/** Fields of MakeTableReq and MakeTableData. */
const DATA_FIELD = 1;
const ARROW_FIELD = 3;
const BYTES = 2;

/** Tables and sessions of one engine. A session leaves nothing behind, whatever it did and whatever the engine throws. */
export class PerspectiveSessions {
  readonly #engine: PerspectiveEngine;
  readonly #windowBytesMax: number;
  readonly #usedBytesMax: number;
  /** Makes and frees the tables. */
  readonly #owner: number;
  readonly #sessions = new Map<number, Session>();
  readonly #sessionOfClient = new Map<number, number>();
  /** Views of all sessions: the engine would replace one by another of the same id, and then fail when both are closed. */
  readonly #views = new Set<string>();

  constructor(engine: PerspectiveEngine, { windowBytesMax, usedBytesMax }: MemorySettings) {
    this.#engine = engine;
    this.#windowBytesMax = windowBytesMax;
    this.#usedBytesMax = usedBytesMax;
    this.#owner = engine.open();
  }

  get memory(): EngineMemory {
    return { heapBytes: this.#engine.heapBytes, usedBytes: this.#usedBytes() };
  }

  /** Makes a table of an Arrow IPC stream; `memory_limit` or `unprocessable_data` where the engine refuses it. */
  load(table: string, pieces: readonly Uint8Array[], bytes: number): LoadedTable {
    if (!this.#hasRoom(bytes))
      throw new CovistaError('memory_limit', 'views of other tables leave no room for this one; try again, or open fewer rows');
    const before = this.#usedBytes();
    const arrowBytes = pieces.reduce((sum, { length }) => sum + length, 0);
    const [response] = this.#engine.handle(this.#owner, [makeTableHead(table, arrowBytes), ...pieces]);
    const answer = decodeResponse(present(response, 'the answer to a new table').bytes);
    if (answer.kind === 'server_error') throw new CovistaError('unprocessable_data', `the table cannot be made: ${answer.body.message}`);
    return { bytes: Math.max(0, this.#usedBytes() - before), features: this.#features() };
  }

  free(table: string): void {
    this.#engine.handle(this.#owner, [encodeRequest({ msgId: 1, entityId: table, kind: 'table_delete', body: { is_immediate: true } })]);
  }

  open(session: number): void {
    const client = this.#engine.open();
    this.#sessions.set(session, { client, views: new Set() });
    this.#sessionOfClient.set(client, session);
  }

  handle(session: number, bytes: Uint8Array): MemoryResponse[] {
    const state = this.#sessions.get(session);
    if (state === undefined) return [];
    try {
      const account = this.#accountFor(state, bytes);
      if (account.answer !== undefined) return [{ session, bytes: account.answer }];
      const responses = windowedLines(bytes, (asked) => readable(this.#engine.handle(state.client, [asked])));
      if (!responses.some((response) => readHeader(response.bytes)?.kind === 'server_error')) account.done();
      return this.#toSessions(session, responses).map((response) => this.#bounded(response));
    } catch (fault) {
      // What the engine throws ends the call and nothing else; a trap ends the worker.
      if (fault instanceof EnvelopeFault || isEngineException(fault)) return [{ session, bytes: faultResponse(bytes, fault) }];
      throw fault;
    }
  }

  /** Deletes the views one by one first: the engine gives up a closing session half-way when one is not there. */
  close(session: number): MemoryHoldings {
    const state = this.#sessions.get(session);
    if (state !== undefined) {
      for (const view of state.views) this.#deleteView(state, view);
      this.#contain(() => this.#engine.close(state.client));
      this.#sessions.delete(session);
      this.#sessionOfClient.delete(state.client);
    }
    return { sessions: this.#sessions.size, views: this.#views.size, heapBytes: this.#engine.heapBytes };
  }

  #deleteView(state: Session, view: string): void {
    this.#contain(() => this.#engine.handle(state.client, [encodeRequest({ msgId: 1, entityId: view, kind: 'view_delete', body: {} })]));
    this.#forget(state, view);
  }

  #contain(work: () => void): void {
    try {
      work();
    } catch (fault) {
      if (!isEngineException(fault)) throw fault;
    }
  }

  /** Keeps account of views; answers what must not reach the engine. */
  #accountFor(state: Session, bytes: Uint8Array): Account {
    // The header of a request is like that of its response. All but these pass as they are.
    const kind = readHeader(bytes)?.kind;
    if (kind === undefined || !ACCOUNTED.has(kind)) return NO_ACCOUNT;
    const request = decodeRequest(bytes);
    if (this.#isBeyond(state, request)) return nothingChanged(request);
    if (takesMore(request) && !this.#hasRoom(0)) return this.#noRoom(request);
    if (request.kind === 'table_make_view') return this.#accountForNew(state, request);
    if (request.kind !== 'view_delete') return NO_ACCOUNT;
    if (state.views.has(request.entityId)) return { done: () => this.#forget(state, request.entityId) };
    return { answer: errorResponse(request.msgId, request.entityId, 'there is no such view', 'view_not_found'), done: nothing };
  }

  #noRoom({ msgId, entityId }: PerspectiveRequest): Account {
    const message = `the engine of this table uses more than ${this.#usedBytesMax} bytes of memory; close some views`;
    return { answer: errorResponse(msgId, entityId, message, 'memory_limit'), done: nothing };
  }

  /** Whether rows of a view are to be opened or closed that it does not have: the engine looks for them beyond its memory of the view. */
  #isBeyond(state: Session, { entityId, kind, body }: PerspectiveRequest): boolean {
    if (kind === 'view_set_depth') return body.depth > SIGNED_MAX;
    if (kind !== 'view_expand' && kind !== 'view_collapse') return false;
    const answer = this.#ask('view_dimensions', state.client, entityId);
    return answer.kind === 'view_dimensions' && body.row_index >= answer.body.num_view_rows;
  }

  /**
   * Whether so much more may be used: what the engine cannot have ends its thread. To ask it takes up to a millisecond, and is needed
   * only once its memory has grown.
   */
  #hasRoom(bytes: number): boolean {
    return this.#engine.heapBytes + bytes <= this.#usedBytesMax || this.#usedBytes() + bytes <= this.#usedBytesMax;
  }

  #accountForNew(state: Session, { msgId, entityId, body }: PerspectiveRequest & { kind: 'table_make_view' }): Account {
    const { view_id: view } = body;
    if (this.#views.has(view)) return { answer: errorResponse(msgId, entityId, `there is a view ${JSON.stringify(view)} already`), done: nothing };
    const done = (): void => {
      this.#views.add(view);
      state.views.add(view);
    };
    return { done };
  }

  #forget(state: Session, view: string): void {
    state.views.delete(view);
    this.#views.delete(view);
  }

  /** A window that is too large is known by its answer alone, which then goes no further. */
  #bounded({ session, bytes }: MemoryResponse): MemoryResponse {
    if (bytes.length <= this.#windowBytesMax) return { session, bytes };
    const message = `the window has more than ${this.#windowBytesMax} bytes; read fewer rows`;
    return { session, bytes: errorResponse(messageIdOf(bytes) ?? 0, '', message, 'payload_too_large') };
  }

  #toSessions(asking: number, responses: readonly { client: number; bytes: Uint8Array }[]): MemoryResponse[] {
    return responses.flatMap(({ client, bytes }) => {
      const session = client === 0 ? asking : this.#sessionOfClient.get(client);
      return session === undefined ? [] : [{ session, bytes }];
    });
  }

  #features(): LoadedTable['features'] {
    const answer = this.#ask('get_features');
    if (answer.kind !== 'get_features') throw new Error('the engine does not tell its features');
    return answer.body;
  }

  #usedBytes(): number {
    const answer = this.#ask('server_system_info');
    return answer.kind === 'server_system_info' ? answer.body.used_size : 0;
  }

  #ask(kind: 'get_features' | 'server_system_info' | 'view_dimensions', client = this.#owner, entityId = ''): PerspectiveResponse {
    const [response] = this.#engine.handle(client, [encodeRequest({ msgId: 1, entityId, kind, body: {} })]);
    return decodeResponse(present(response, `the answer to ${kind}`).bytes);
  }
}

/** A view that is there takes more when rows of it are opened, which a depth of 0 never does. */
const takesMore = (request: PerspectiveRequest): boolean =>
  request.kind !== 'view_delete' && request.kind !== 'view_collapse' && !(request.kind === 'view_set_depth' && request.body.depth === 0);

function nothingChanged({ msgId, entityId, kind }: PerspectiveRequest): Account {
  const body = kind === 'view_set_depth' ? {} : { num_changed: 0 };
  return { answer: encodeResponse({ msgId, entityId, kind, body } as PerspectiveResponse), done: nothing };
}

function readable(responses: EngineResponse[]): EngineResponse[] {
  for (const { bytes } of responses) mendTexts(bytes);
  return responses;
}

function windowedLines(bytes: Uint8Array, handle: (request: Uint8Array) => EngineResponse[]): EngineResponse[] {
  const rows = rowsInsteadOfLines(bytes);
  return rows === undefined ? handle(bytes) : handle(rows).map((response) => ({ ...response, bytes: linesInsteadOfRows(response.bytes) }));
}

/** C++ exceptions unwind and leave the engine whole; traps, such as running out of memory, do not. */
function isEngineException(fault: unknown): boolean {
  return 'Exception' in WebAssembly && fault instanceof (WebAssembly as unknown as { Exception: new () => object }).Exception;
}

function faultResponse(request: Uint8Array, fault: unknown): Uint8Array {
  const message = fault instanceof EnvelopeFault ? fault.message : 'the engine cannot do this';
  return errorResponse(messageIdOf(request) ?? 0, '', message);
}

/** The start of a Request whose last field is the Arrow that follows it, so that it need not be copied to be enclosed. */
function makeTableHead(table: string, arrowBytes: number): Uint8Array {
  const field = (id: number): number => (id << 3) | BYTES;
  const dataHead = protobuf.Writer.create().uint32(field(ARROW_FIELD)).uint32(arrowBytes).finish();
  const dataBytes = dataHead.length + arrowBytes;
  const requestHead = protobuf.Writer.create().uint32(field(DATA_FIELD)).uint32(dataBytes).finish();
  const writer = protobuf.Writer.create();
  writer.uint32(1 << 3).uint32(1);
  writer.uint32(field(2)).string(table);
  writer.uint32(field(REQUESTS.make_table)).uint32(requestHead.length + dataBytes);
  return concat([writer.finish(), requestHead, dataHead]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
