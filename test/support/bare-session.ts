import type { EngineTable } from '../../server/services/tables/engine.ts';
import { decodeResponse, encodeRequest } from '../../server/shared/perspective/codec.ts';
import type { PerspectiveRequest, PerspectiveResponse } from '../../server/shared/perspective/types.ts';

/** Speaks the protocol without a client, so that views have the ids that a test chooses. */
export function bareSession(table: EngineTable, holder = 'alice') {
  const answers: PerspectiveResponse[] = [];
  let heard = Promise.withResolvers<void>();
  let lost: string | undefined;
  const session = table.connect({
    holder,
    respond: (answer) => {
      answers.push(decodeResponse(answer));
      heard.resolve();
      heard = Promise.withResolvers();
    },
    lost: ({ code }) => {
      lost = code;
    },
  });
  let numbers = 0;
  const send = (request: Pick<PerspectiveRequest, 'entityId' | 'kind' | 'body'>): number => {
    numbers += 1;
    session.handle(encodeRequest({ ...request, msgId: numbers } as PerspectiveRequest));
    return numbers;
  };
  const answer = async (msgId: number): Promise<PerspectiveResponse> => {
    for (;;) {
      const found = answers.find((candidate) => candidate.msgId === msgId);
      if (found !== undefined) return found;
      await heard.promise;
    }
  };
  return { session, send, ask: (request: Parameters<typeof send>[0]) => answer(send(request)), answered: () => answers.length, lost: () => lost };
}

export const makeView = (key: string, id: string) => ({ entityId: key, kind: 'table_make_view', body: { view_id: id, config: null } }) as never;
export const readRows = (id: string) => ({ entityId: id, kind: 'view_to_rows_string', body: { viewport: null } }) as never;
export const deleteView = (id: string) => ({ entityId: id, kind: 'view_delete', body: {} }) as never;
export const tableSize = (key: string) => ({ entityId: key, kind: 'table_size', body: {} }) as never;
