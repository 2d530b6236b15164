import type { Client as PerspectiveClient } from '@perspective-dev/client';
import { CovistaError } from '../protocol/errors.ts';
import type { TableId } from '../protocol/ids.ts';
import type { OpenChannel } from './channel-call.ts';
import type { Methods } from './types.ts';

export type { PerspectiveClient };

/** What the SDK uses of the package `@perspective-dev/client`: in Node `make_client`, in a browser `worker`. */
export interface PerspectiveModule {
  make_client?(send: (bytes: Uint8Array) => Promise<void>, close?: () => void): PerspectiveClient;
  worker?(port: Promise<MessagePort>): Promise<PerspectiveClient>;
  init_server?(wasm: WebAssembly.Module, disableStage0: boolean): void;
}

/** The package as it was imported, with or without its default export, or a function that imports it. */
export type PerspectiveSource = PerspectiveNamespace | (() => PerspectiveNamespace | Promise<PerspectiveNamespace>);
type PerspectiveNamespace = PerspectiveModule | { readonly default: PerspectiveModule };

/** A name that bundlers do not see, so that who uses no tables does not get the package. */
const PACKAGE: string = '@perspective-dev/client';

/** Imports the package once; pages whose bundler must know of it hand it over themselves. */
export function perspectiveLoader(source: PerspectiveSource | undefined): () => Promise<PerspectiveModule> {
  let loaded: Promise<PerspectiveModule> | undefined;
  const load = async (): Promise<PerspectiveModule> => {
    const namespace: PerspectiveNamespace = await (typeof source === 'function' ? source() : (source ?? import(/* @vite-ignore */ PACKAGE)));
    return 'default' in namespace ? { ...namespace.default, ...namespace } : namespace;
  };
  return () => {
    loaded ??= load().catch((cause: unknown) => {
      loaded = undefined;
      throw new CovistaError('unavailable', `${PACKAGE} cannot be loaded; pass it to connect() as \`perspective\``, {}, cause);
    });
    return loaded;
  };
}

/** A client of Perspective that speaks over a channel of the shared socket; it opens with the first request. */
export async function perspectiveClient(module: PerspectiveModule, table: Methods['table'], tableId: TableId): Promise<PerspectiveClient> {
  const transport = new TableTransport(table, tableId);
  const client = module.make_client?.((bytes) => transport.send(bytes.slice()), transport.close) ?? (await overPort(module, transport));
  transport.attach(client);
  return client;
}

/** The module of eight bytes that does nothing: the engine that a page does not need, since the server has it. */
const NO_ENGINE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** In a browser a client takes a port to what it believes to be a worker, which it greets before it sends requests. */
async function overPort(module: PerspectiveModule, transport: TableTransport): Promise<PerspectiveClient> {
  const connect = (): Promise<PerspectiveClient> => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (data instanceof ArrayBuffer) transport.send(new Uint8Array(data)).catch((fault: unknown) => transport.report(fault));
      else port1.postMessage({});
    };
    transport.deliverTo((bytes) => port1.postMessage(bytes.slice().buffer));
    if (module.worker === undefined) throw new CovistaError('unavailable', `${PACKAGE} has neither make_client nor worker`);
    return module.worker(Promise.resolve(port2));
  };
  try {
    return await connect();
  } catch (fault) {
    // A page that registered no engine of its own gets one that is never used.
    if (module.init_server === undefined || fault instanceof CovistaError) throw fault;
    module.init_server(new WebAssembly.Module(NO_ENGINE), true);
    return connect();
  }
}

/** The channel of one table, opened when something is to be sent and again after it was lost. */
class TableTransport {
  readonly #table: Methods['table'];
  readonly #tableId: TableId;
  #channel: Promise<OpenChannel<unknown>> | undefined;
  #client: PerspectiveClient | undefined;
  #deliver: ((bytes: Uint8Array) => void) | undefined;
  #isClosed = false;

  constructor(table: Methods['table'], tableId: TableId) {
    this.#table = table;
    this.#tableId = tableId;
  }

  attach(client: PerspectiveClient): void {
    this.#client = client;
  }

  /** Takes answers in the place of the client. */
  deliverTo(deliver: (bytes: Uint8Array) => void): void {
    this.#deliver = deliver;
  }

  async send(bytes: Uint8Array): Promise<void> {
    const channel = await this.#open();
    channel.send(bytes);
  }

  /** Tells the client that what it waits for does not come, and how to begin anew: its views are gone. */
  readonly report = (fault: unknown): void => {
    if (this.#isClosed) return;
    const message = fault instanceof CovistaError ? `${fault.code}: ${fault.message}` : String(fault);
    const reconnect = async (): Promise<void> => {
      await this.#open();
    };
    // Callbacks of the client that throw are not the transport's concern.
    void this.#client?.handle_error(message, reconnect).catch(() => undefined);
  };

  readonly close = (): void => {
    this.#isClosed = true;
    void this.#channel?.then(
      (channel) => channel.close(),
      () => undefined,
    );
    this.#channel = undefined;
  };

  #open(): Promise<OpenChannel<unknown>> {
    if (this.#isClosed) return Promise.reject(new CovistaError('cancelled', 'the client of the table was terminated'));
    if (this.#channel !== undefined) return this.#channel;
    const opening = this.#table.connect(
      { tableId: this.#tableId },
      {
        onMessage: (bytes) => this.#received(bytes),
        onClose: (reason) => {
          if (this.#channel === opening) this.#channel = undefined;
          this.report(reason ?? new CovistaError('unavailable', 'the server ended the channel'));
        },
      },
    );
    this.#channel = opening;
    opening.catch(() => {
      if (this.#channel === opening) this.#channel = undefined;
    });
    return opening;
  }

  #received(bytes: Uint8Array): void {
    if (this.#deliver !== undefined) this.#deliver(bytes);
    else void this.#client?.handle_response(bytes).catch((fault: unknown) => this.report(fault));
  }
}
