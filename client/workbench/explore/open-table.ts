import type { Client as PerspectiveClient } from '@perspective-dev/client';
import perspective from '@perspective-dev/client/dist/esm/perspective.js';
import type { Client, CovistaError } from '../../index.ts';

type TableInfo = Awaited<ReturnType<Client['table']['open']>>;

/** A table of the server with a Perspective client of its own, over the socket that everything else uses too. */
export interface OpenedTable extends TableInfo {
  readonly perspective: PerspectiveClient;
  /** Resolves when the way to the table is lost; it stays open when `close` was called. */
  readonly lost: Promise<CovistaError | undefined>;
  close(): void;
}

/** The engine is on the server: there is none to be started here, which the library would otherwise insist on. */
const NO_ENGINE = new ArrayBuffer(0);

export async function openTable(client: Client, datasetId: number, ref: string): Promise<OpenedTable> {
  const info = await client.table.open({ datasetId, ref });
  const { port1: near, port2: far } = new MessageChannel();
  const { promise: lost, resolve: lose } = Promise.withResolvers<CovistaError | undefined>();
  const channel = await client.table.connect(
    { tableId: info.tableId },
    {
      onMessage: (bytes) => {
        const content = bytes.slice().buffer;
        near.postMessage(content, [content]);
      },
      onClose: lose,
    },
  );
  near.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (data instanceof ArrayBuffer) channel.send(new Uint8Array(data));
    // The library starts an engine first; any answer says that it has.
    else near.postMessage({});
  };
  perspective.init_server(NO_ENGINE, true);
  return { ...info, perspective: await perspective.worker(Promise.resolve(far)), lost, close: () => channel.close() };
}
