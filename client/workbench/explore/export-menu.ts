import { type Client, CovistaError } from '../../index.ts';
import { saveBytes } from '../dataset/save-file.ts';
import { openDialog } from '../ui/dialog.ts';
import { html, replace } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { menuButton } from '../ui/menu.ts';
import { failure } from '../ui/resource.ts';
import { type ProgressBar, progressBar } from '../upload/progress-bar.ts';
import type { Explorer } from './explorer.ts';

const FORMATS = [
  { format: 'csv', label: 'CSV' },
  { format: 'arrow', label: 'Arrow' },
  { format: 'parquet', label: 'Parquet' },
  { format: 'ndjson', label: 'NDJSON' },
] as const;

type Format = (typeof FORMATS)[number]['format'];

/** Saves all rows of the view that is shown as a file. */
export function exportMenu(client: Client, explorer: Explorer): HTMLElement {
  const entries = FORMATS.map(({ format, label }) => ({ label, icon: 'file' as const, run: () => exportView(client, explorer, format) }));
  return menuButton({ label: 'Export this view', class: 'button', face: [icon('download'), 'Export'], entries });
}

function exportView(client: Client, explorer: Explorer, format: Format): void {
  void openDialog({
    title: `Export as ${format.toUpperCase()}`,
    content: (close, life) => {
      const bar = progressBar();
      const place = html(
        'div',
        {},
        bar.element,
        html('div', { class: 'form-actions' }, html('button', { type: 'button', class: 'button', on: { click: close } }, 'Stop')),
      );
      bring(client, explorer, { format, bar, life }).then(close, (error: unknown) => life.aborted || replace(place, failure(error)));
      return place;
    },
  });
}

async function bring(
  client: Client,
  { table, drawing }: Explorer,
  { format, bar, life }: { readonly format: Format; readonly bar: ProgressBar; readonly life: AbortSignal },
): Promise<void> {
  if (table === undefined) return;
  const { tableId } = table;
  type Config = Omit<Parameters<Client['view']['create']>[0], 'tableId'>;
  // The viewer's config is what the server checks again, field by field.
  const { viewId } = await client.view.create({ ...(drawing.value?.config as Config), tableId }, { signal: life });
  try {
    const items = client.view.export({ tableId, viewId, format }, { signal: life })[Symbol.asyncIterator]();
    const first = await items.next();
    if (first.done === true || first.value instanceof Uint8Array) throw new CovistaError('protocol_error', 'an export began without its head');
    await saveBytes(first.value, bytesOf(items), bar);
  } finally {
    await client.view.close({ tableId, viewId });
  }
}

async function* bytesOf(items: AsyncIterator<unknown>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { done, value } = await items.next();
    if (done === true) return;
    if (value instanceof Uint8Array) yield value;
  }
}
