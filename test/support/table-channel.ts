import type { Client } from '../../client/index.ts';
import { present } from '../../server/shared/assert.ts';
import { decodeResponse, encodeRequest } from '../../server/shared/perspective/codec.ts';
import type { PerspectiveRequest, PerspectiveResponse, RequestKind } from '../../server/shared/perspective/types.ts';

/** A channel of a table, spoken to message by message as no honest client would. */
export interface TableChannel {
  readonly tableId: string;
  /** All that the server sent, as text. */
  readonly seen: () => string;
  /** The answer to one request of any kind about anything. */
  ask(kind: RequestKind, entityId: string, body?: object): Promise<PerspectiveResponse>;
  /** Bytes as they are. */
  send(bytes: Uint8Array): void;
  /** Resolves with the reason when the server ends the channel. */
  readonly over: Promise<unknown>;
  close(): void;
}

export async function openTableChannel(client: Client, tableId: string): Promise<TableChannel> {
  const waiting = new Map<number, (response: PerspectiveResponse) => void>();
  const over = Promise.withResolvers<unknown>();
  let seen = '';
  let numbers = 0;
  const channel = await client.table.connect(
    { tableId: tableId as never },
    {
      onMessage: (bytes) => {
        seen += Buffer.from(bytes).toString('latin1');
        const response = decodeResponse(bytes);
        waiting.get(response.msgId)?.(response);
      },
      onClose: (reason) => over.resolve(reason),
    },
  );
  return {
    tableId,
    seen: () => seen,
    over: over.promise,
    ask: (kind, entityId, body = {}) => {
      numbers += 1;
      const msgId = numbers;
      const { promise, resolve } = Promise.withResolvers<PerspectiveResponse>();
      waiting.set(msgId, resolve);
      channel.send(encodeRequest({ msgId, entityId, kind, body } as unknown as PerspectiveRequest));
      return promise.finally(() => waiting.delete(msgId));
    },
    send: (bytes) => channel.send(bytes),
    close: () => channel.close(),
  };
}

/** Makes a view of this name and answers with its rows. */
export async function rowsOf(channel: TableChannel, viewId: string, config: object = {}): Promise<unknown[]> {
  const made = await channel.ask('table_make_view', channel.tableId, { view_id: viewId, config });
  if (made.kind !== 'table_make_view') throw new Error(`no view: ${JSON.stringify(made.body)}`);
  return readRows(channel, viewId);
}

export async function readRows(channel: TableChannel, viewId: string): Promise<unknown[]> {
  const answer = await channel.ask('view_to_rows_string', viewId, { viewport: null });
  if (answer.kind !== 'view_to_rows_string') throw new Error(`no rows: ${JSON.stringify(answer.body)}`);
  return present(JSON.parse(answer.body.json_string) as unknown[], 'rows');
}
