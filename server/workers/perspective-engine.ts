import type { PerspectiveServer } from '@perspective-dev/client/node';
import { assert } from '../shared/assert.ts';

/** One Response of the engine. Session 0 stands for the one that asked. */
export interface EngineResponse {
  readonly client: number;
  readonly bytes: Uint8Array;
}

/** The exports of the engine's module that are used; addresses and lengths are bigints where its memory has 64-bit addresses. */
interface EngineModule {
  readonly HEAPU8: Uint8Array;
  _psp_is_memory64(): number;
  _psp_alloc(bytes: Address): Address;
  _psp_free(address: Address): void;
  _psp_new_session(server: Address): number;
  _psp_close_session(server: Address, client: number): void;
  _psp_handle_request(server: Address, client: number, request: Address, bytes: Address): Address;
  _psp_poll(server: Address): Address;
}

type Address = number | bigint;

/**
 * Perspective's engine without the layer in front of it, which copies requests twice, keeps the callbacks of closed sessions,
 * and waits for each response to be sent. The layout of what the engine returns is described in that layer's `engine.ts`.
 */
export class PerspectiveEngine {
  readonly #module: EngineModule;
  readonly #server: Address;
  readonly #is64: boolean;

  constructor({ module, server }: PerspectiveServer) {
    this.#module = module as unknown as EngineModule;
    this.#server = server;
    this.#is64 = this.#module._psp_is_memory64() !== 0;
  }

  /** Size of the engine's memory, which never shrinks. */
  get heapBytes(): number {
    return this.#module.HEAPU8.byteLength;
  }

  open(): number {
    return this.#module._psp_new_session(this.#server);
  }

  close(client: number): void {
    this.#module._psp_close_session(this.#server, client);
  }

  /** Handles one Request, given in pieces, with everything that comes of it. The pieces are copied into the engine's memory once. */
  handle(client: number, pieces: readonly Uint8Array[]): EngineResponse[] {
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    const address = this.#module._psp_alloc(this.#toAddress(bytes));
    try {
      let at = this.#toNumber(address);
      for (const piece of pieces) {
        this.#module.HEAPU8.set(piece, at);
        at += piece.length;
      }
      const answers = this.#take(this.#module._psp_handle_request(this.#server, client, address, this.#toAddress(bytes)));
      return [...answers, ...this.#take(this.#module._psp_poll(this.#server))];
    } finally {
      this.#module._psp_free(address);
    }
  }

  /** Copies responses out of the engine's memory and frees it. */
  #take(address: Address): EngineResponse[] {
    const { buffer } = this.#module.HEAPU8;
    const head = new DataView(buffer, this.#toNumber(address), this.#is64 ? 12 : 8);
    const count = head.getUint32(0, true);
    const list = this.#addressAt(head, 4);
    const entryBytes = this.#is64 ? 16 : 12;
    const entries = new DataView(buffer, this.#toNumber(list), count * entryBytes);
    const responses = Array.from({ length: count }, (_unused, index) => this.#entry(entries, index * entryBytes));
    this.#module._psp_free(list);
    this.#module._psp_free(address);
    return responses;
  }

  #entry(entries: DataView, at: number): EngineResponse {
    const data = this.#addressAt(entries, at);
    const lengthAt = at + (this.#is64 ? 8 : 4);
    const start = this.#toNumber(data);
    const bytes = this.#module.HEAPU8.slice(start, start + entries.getUint32(lengthAt, true));
    this.#module._psp_free(data);
    return { client: entries.getInt32(lengthAt + 4, true), bytes };
  }

  #addressAt(view: DataView, at: number): Address {
    return this.#is64 ? view.getBigInt64(at, true) : view.getUint32(at, true);
  }

  #toAddress(bytes: number): Address {
    return this.#is64 ? BigInt(bytes) : bytes;
  }

  #toNumber(address: Address): number {
    const number = this.#is64 ? Number(address) : Number(address) >>> 0;
    assert(number !== 0, 'memory of the engine');
    return number;
  }
}
