import type { Table, View, ViewConfigUpdate } from '@perspective-dev/client';

/** Makes a view, which is deleted whatever becomes of its use. */
export async function withView<Result>(table: Table, config: ViewConfigUpdate, use: (view: View) => Promise<Result>): Promise<Result> {
  const view = await table.view(config);
  try {
    return await use(view);
  } finally {
    await view.delete();
  }
}
