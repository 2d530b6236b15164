import { CovistaError } from '../protocol/errors.ts';
import type { SessionInfo } from '../protocol/frame.ts';
import { buildMethods } from './caller.ts';
import type { ConnectionState } from './connection.ts';
import { Dispatcher } from './dispatcher.ts';
import type { DocumentHub, OpenOptions } from './documents/hub.ts';
import type { LiveDocument } from './documents/live-document.ts';
import type { SavedViews } from './documents/saved-views.ts';
import { type FetchedVersion, type FetchOptions, fetchVersion, type VersionFile } from './fetch.ts';
import { items, pages } from './pages.ts';
import { perspectiveLoader } from './perspective.ts';
import { type ClientSettings, type ConnectOptions, defaultSettings, socketUrl } from './settings.ts';
import { type TableMethods, tableMethods } from './tables.ts';
import type { Methods } from './types.ts';
import { type FileOptions, type FileSource, uploadFile } from './upload.ts';

type Committed = Awaited<ReturnType<Methods['upload']['commit']>>;

export interface Client extends Omit<Methods, 'upload' | 'version' | 'document' | 'table'> {
  readonly table: TableMethods;
  readonly document: Methods['document'] & {
    /** Opens `dataset/DATASET_ID` or `user/SUBJECT`. Resolves once the server has opened it, or a kept copy is there. Yjs is loaded with the first one. */
    open(name: string, options?: OpenOptions): Promise<LiveDocument>;
    /** The views of a dataset that its readers share, or those that the caller keeps in private; `close` leaves them. */
    savedViews(datasetId: number, scope?: 'shared' | 'private', options?: OpenOptions): Promise<SavedViews>;
  };
  readonly upload: Methods['upload'] & {
    /** Uploads a file in chunks and commits it; a lost connection costs at most one chunk. */
    file(source: FileSource, options: FileOptions): Promise<Committed>;
  };
  readonly version: Methods['version'] & {
    /** Downloads a version; a lost connection is continued where it broke off. Resolves once the head is here. */
    fetch(file: VersionFile, options?: FetchOptions): Promise<FetchedVersion>;
  };
  /** Every page, or every item of every page, of a query that answers in pages: `client.items(client.version.history, input)`. */
  readonly pages: typeof pages;
  readonly items: typeof items;
  readonly state: ConnectionState;
  /** Tells every change of the state until the function that it returns is called. */
  onState(listener: (state: ConnectionState) => void): () => void;
  /** Who the server takes the client for, once it is connected; rejects when the client closes instead. */
  ready(): Promise<SessionInfo>;
  /** Ends the connection; what is under way fails with `cancelled`. */
  close(): void;
}

/** A client of the server at `url`. It connects at once, and again whenever it must, until it is closed. */
export function connect(options: ConnectOptions): Client {
  const settings = { ...defaultSettings, ...options.settings };
  const listeners = new Set<(state: ConnectionState) => void>();
  const dispatcher = new Dispatcher({
    url: socketUrl(options.url),
    token: options.token,
    name: options.name ?? 'covista-client',
    settings,
    // What a listener throws is its own: it must not end the connection.
    onState: (state) => {
      for (const listener of listeners) queueMicrotask(() => listeners.has(listener) && listener(state));
    },
  });
  const methods = buildMethods({ dispatcher, settings });
  const onState = (listener: (state: ConnectionState) => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const documents = documentsOf(methods, settings, onState);
  return {
    ...methods,
    document: {
      ...methods.document,
      open: async (name, open) => (await documents()).open(name, open),
      savedViews: async (datasetId, scope = 'shared', open = {}) => {
        const subject = scope === 'private' ? (await ready(dispatcher, onState)).subject : '';
        return (await documents()).savedViews({ datasetId, scope, subject, ...open });
      },
    },
    upload: { ...methods.upload, file: (source, file) => uploadFile({ methods, settings, source, options: file }) },
    table: tableMethods(methods.table, perspectiveLoader(options.perspective)),
    version: { ...methods.version, fetch: (file, options) => fetchVersion(methods, file, options) },
    pages,
    items,
    get state() {
      return dispatcher.state;
    },
    onState,
    ready: () => ready(dispatcher, onState),
    close: () => dispatcher.close(new CovistaError('cancelled', 'the client was closed')),
  };
}

/** The documents of a client, of which nothing is loaded before the first one is opened. */
function documentsOf({ document }: Methods, settings: ClientSettings, onState: Client['onState']): () => Promise<DocumentHub> {
  let hub: Promise<DocumentHub> | undefined;
  let ended: CovistaError | undefined;
  onState((state) => {
    if (state.kind !== 'closed') return;
    ended = state.reason;
    void hub?.then((opened) => opened.close(state.reason));
  });
  const load = async (): Promise<DocumentHub> => {
    const { DocumentHub } = await import('./documents/hub.ts');
    const loaded = new DocumentHub({ settings, connect: (name, options) => document.connect({ name, receipts: true }, options) });
    if (ended !== undefined) loaded.close(ended);
    return loaded;
  };
  return () => {
    hub ??= load();
    return hub;
  };
}

function ready(dispatcher: Dispatcher, onState: Client['onState']): Promise<SessionInfo> {
  const { promise, resolve, reject } = Promise.withResolvers<SessionInfo>();
  const settle = (state: ConnectionState): void => {
    if (state.kind === 'open') resolve(state.session);
    if (state.kind === 'closed') reject(state.reason);
  };
  const stop = onState(settle);
  settle(dispatcher.state);
  return promise.finally(stop);
}
