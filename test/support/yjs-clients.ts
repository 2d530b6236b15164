import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import type { TestServer } from './server.ts';

/** A published client of y-websocket with its document, ended with the test. */
export interface YjsClient {
  readonly doc: Y.Doc;
  readonly provider: WebsocketProvider;
  /** Close codes so far. */
  readonly closes: number[];
}

type Addressed = Pick<TestServer, 'url'> & { token(subject: string): Promise<string> };

export async function yjsClient(server: Addressed, subject: string, name: string, doc = new Y.Doc()): Promise<YjsClient> {
  const provider = new WebsocketProvider(`${server.url.replace(/^http/, 'ws')}/documents`, name, doc, {
    params: { token: await server.token(subject) },
    WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
    disableBc: true,
    maxBackoffTime: 200,
  });
  const closes: number[] = [];
  provider.on('connection-close', (event) => closes.push(event?.code ?? 0));
  onTestFinished(() => provider.destroy());
  return { doc, provider, closes };
}

/** Resolves when the client has what the server has. */
export function synced({ provider }: YjsClient): Promise<void> {
  if (provider.synced) return Promise.resolve();
  return new Promise((resolve) => provider.once('sync', () => resolve()));
}

/** Resolves when the document has become so. */
export function until(doc: Y.Doc, isSo: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (!isSo()) return;
      doc.off('afterTransaction', check);
      resolve();
    };
    doc.on('afterTransaction', check);
    check();
  });
}
