import type { Version } from '../app/app.ts';
import { openDialog } from '../ui/dialog.ts';
import { html, replace } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { failure } from '../ui/resource.ts';
import { progressBar } from '../upload/progress-bar.ts';
import type { DatasetContext } from './context.ts';
import { saveBytes } from './save-file.ts';

const FORMATS = [
  { format: 'csv', label: 'CSV', hint: 'for spreadsheets' },
  { format: 'parquet', label: 'Parquet', hint: 'small, typed' },
  { format: 'arrow', label: 'Arrow', hint: 'for programs' },
  { format: 'ndjson', label: 'NDJSON', hint: 'one row a line' },
  { format: 'original', label: 'Original', hint: 'as it was uploaded' },
] as const;

type Format = (typeof FORMATS)[number]['format'];

/** Lets a format be chosen, and brings the file with its progress. */
export function openDownload(context: DatasetContext, version: Version): void {
  void openDialog({
    title: `Download version ${version.versionId}`,
    content: (close, life) => {
      const place = html('div', {});
      const start = (format: Format): void => {
        const again = (): void => start(format);
        const bar = progressBar();
        replace(place, bar.element);
        bring({ context, version, format, life, bar }).then(close, (error: unknown) => life.aborted || replace(place, failure(error, again)));
      };
      const offered = FORMATS.filter(({ format }) => format !== 'original' || version.original !== null);
      const choices = offered.map(({ format, label, hint }) =>
        html(
          'button',
          { type: 'button', class: 'choice', on: { click: () => start(format) } },
          icon('file'),
          html('span', { class: 'strong' }, label),
          html('span', { class: 'muted' }, hint),
        ),
      );
      replace(place, html('div', { class: 'choices' }, choices));
      return place;
    },
  });
}

interface Bring {
  readonly context: DatasetContext;
  readonly version: Version;
  readonly format: Format;
  readonly life: AbortSignal;
  readonly bar: ReturnType<typeof progressBar>;
}

async function bring({ context, version, format, life, bar }: Bring): Promise<void> {
  const { datasetId } = context;
  const { head, bytes } = await context.app.client.version.fetch({ datasetId, versionId: version.versionId, format }, { signal: life });
  await saveBytes(head, bytes, bar);
}
