import perspective from '@perspective-dev/client/node';
import { answer } from '../support/helper.ts';
import type { ViewConfig } from '../support/table-crowd.ts';

/** Sessions with Perspective's protocol that are opened and held, in a process of their own; they end as it is killed. */
export interface SessionsToOpen {
  readonly url: string;
  readonly table: string;
  readonly configs: readonly ViewConfig[];
  readonly windowRows: number;
}

async function open({ url, table, configs, windowRows }: SessionsToOpen): Promise<number> {
  await Promise.all(
    configs.map(async (config) => {
      const opened = await (await perspective.websocket(url)).open_table(table);
      const view = await opened.view(config as never);
      await view.on_update(() => undefined);
      await view.on_delete(() => undefined);
      await view.to_columns({ start_row: 0, end_row: windowRows });
    }),
  );
  return configs.length;
}

answer(open);
