import * as perspective from '@perspective-dev/client';
import { CovistaError } from '../../protocol/errors.ts';
import type { EngineTable, TableEngine } from '../../server/services/tables/engine.ts';
import { present } from '../../server/shared/assert.ts';
import { decodeResponse, encodeRequest } from '../../server/shared/perspective/codec.ts';
import type { PerspectiveRequest, PerspectiveResponse } from '../../server/shared/perspective/types.ts';
import { linesInsteadOfRows, rowsInsteadOfLines } from '../../server/shared/perspective/windowed-lines.ts';
import type { ContentStore, Row } from '../../server/storage/content-store.ts';
import { visibleSchema } from '../../server/storage/content-store.ts';

/** An engine with Perspective in this process, for tests of what stands in front of engines. Small tables only. */
export interface ThinEngine extends TableEngine {
  /** Keys of the tables that are there. */
  readonly keys: () => string[];
  readonly loads: () => number;
  /** Ends a table as the crash of an engine would. */
  lose(key: string): void;
}

type Session = ReturnType<perspective.PerspectiveServer['make_session']>;

export function thinEngine(content: Pick<ContentStore, 'rows' | 'count'>, name: TableEngine['name'] = 'memory'): ThinEngine {
  const server = new perspective.PerspectiveServer();
  const lost = new Map<string, Set<(reason: CovistaError) => void>>();
  let loads = 0;

  const ask = async (session: Session, answers: PerspectiveResponse[], request: PerspectiveRequest): Promise<PerspectiveResponse> => {
    await session.handle_request(encodeRequest(request));
    const answer = present(answers.pop(), 'an answer');
    if (answer.kind === 'server_error') throw new CovistaError('internal', answer.body.message);
    return answer;
  };

  return {
    name,
    dialect: 'exprtk',
    keys: () => [...lost.keys()],
    loads: () => loads,
    lose: (key) => {
      for (const listener of present(lost.get(key), key)) listener(new CovistaError('unavailable', 'the engine failed; open the table again'));
    },
    load: async (key, { source, columns, rowLimit }, control): Promise<EngineTable> => {
      loads += 1;
      const shown = visibleSchema(source.content.schema, source.scope).map((column) => column.name);
      const endRow = Math.min(await content.count(source, control), rowLimit ?? Number.POSITIVE_INFINITY);
      const rows = await content.rows(source, { startRow: 0, endRow, columns: [...(columns ?? shown)], bytesMax: 1e9 }, control);
      const answers: PerspectiveResponse[] = [];
      const session = server.make_session(async (bytes: Uint8Array) => void answers.push(decodeResponse(bytes)));
      await ask(session, answers, { msgId: 1, entityId: key, kind: 'make_table', body: { data: { from_rows: rowsText(rows) } } });
      const features = await ask(session, answers, { msgId: 2, entityId: '', kind: 'get_features', body: {} });
      const schema = await ask(session, answers, { msgId: 3, entityId: key, kind: 'table_schema', body: {} });
      if (features.kind !== 'get_features' || schema.kind !== 'table_schema') throw new TypeError('the engine answers something else');
      const listeners = new Set<(reason: CovistaError) => void>();
      lost.set(key, listeners);
      return {
        rows: rows.length,
        bytes: 1_000 * rows.length,
        schema: new Map((schema.body.schema?.schema ?? []).map((column) => [column.name, column.type])),
        features: features.body,
        connect: (peer) => {
          let queue = Promise.resolve();
          // Requests are handled one after the other.
          let convert = (bytes: Uint8Array): Uint8Array => bytes;
          const one = server.make_session(async (bytes: Uint8Array) => peer.respond(convert(bytes.slice())));
          return {
            handle: (request) => {
              const rows = rowsInsteadOfLines(request);
              const handled = async (): Promise<void> => {
                convert = rows === undefined ? (bytes) => bytes : linesInsteadOfRows;
                await one.handle_request(rows ?? request);
              };
              queue = queue.then(handled).catch(() => undefined);
            },
            close: () => {
              queue = queue.then(() => one.close()).catch(() => undefined);
            },
          };
        },
        onLost: (listener) => {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
        close: () => {
          lost.delete(key);
          void ask(session, answers, { msgId: 4, entityId: key, kind: 'table_delete', body: { is_immediate: false } }).catch(() => undefined);
        },
      };
    },
    close: async () => undefined,
  };
}

const rowsText = (rows: readonly Row[]): string => JSON.stringify(rows);
