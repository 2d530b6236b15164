import type { Version } from '../app/app.ts';
import type { DatasetContext } from '../dataset/context.ts';
import { openDialog } from '../ui/dialog.ts';
import { type Child, html } from '../ui/dom.ts';
import { byteSize, cellText, counted, dateTime, integer } from '../ui/format.ts';
import { Resource, shown, skeleton } from '../ui/resource.ts';
import { parseErrors } from '../upload/upload-result.ts';

/** Everything that is known of one version. */
export function openVersion(context: DatasetContext, version: Version): void {
  void openDialog({
    title: `Version ${version.versionId}`,
    wide: true,
    content: (_close, life) => [
      version.message !== '' && html('p', { class: 'version-message' }, version.message),
      facts(version),
      parseErrors(version),
      version.schema.length > 0 && version.conversion.status !== 'failed' && columns(context, version, life),
    ],
  });
}

function facts(version: Version): HTMLElement {
  const { original, conversion } = version;
  const list: readonly (readonly [string, Child])[] = [
    ['Committed', `${dateTime(version.createdAt)} by ${version.author}, to ${version.branch}`],
    ['Parents', version.parents.length === 0 ? 'none' : version.parents.map((id) => `v${id}`).join(', ')],
    ['How', version.mode],
    ['Rows', version.rows === null ? null : counted(version.rows, 'row')],
    ['Size', version.bytes === null ? null : `${byteSize(version.bytes)}${version.files === null ? '' : ` in ${counted(version.files, 'file')}`}`],
    ['Key', version.key?.join(', ')],
    [
      'Uploaded as',
      original &&
        `${original.fileName ?? 'unnamed'} (${original.format.toUpperCase()}${original.compression === 'none' ? '' : `, ${original.compression}`}, ${byteSize(original.bytes)})`,
    ],
    ['SHA-256', original && html('span', { class: 'mono small wrap' }, original.sha256)],
    [
      'Reading',
      conversion.status === 'complete'
        ? null
        : conversion.errorCount === null
          ? conversion.status
          : `${conversion.status}: ${counted(conversion.errorCount, 'row')} rejected`,
    ],
  ];
  const known = list.filter(([, value]) => value !== null && value !== undefined);
  return html(
    'dl',
    { class: 'facts' },
    known.map(([name, value]) => [html('dt', {}, name), html('dd', {}, value)]),
  );
}

function columns({ app, datasetId }: DatasetContext, { versionId }: Version, life: AbortSignal): HTMLElement {
  const statistics = new Resource(life, (signal) => app.client.version.statistics({ datasetId, versionId }, { signal }));
  const heads = ['Column', 'Type', 'Empty', 'Distinct', 'Least', 'Greatest', 'Mean'];
  return shown(
    life,
    statistics,
    (found) =>
      html(
        'div',
        { class: 'table-frame', tabindex: '0', role: 'region', 'aria-label': 'Columns' },
        html(
          'table',
          { class: 'grid of-columns' },
          html(
            'thead',
            {},
            html(
              'tr',
              {},
              heads.map((head, index) => html('th', { scope: 'col', class: index === 2 || index === 3 || index === 6 ? 'number' : undefined }, head)),
            ),
          ),
          html(
            'tbody',
            {},
            found.columns.map((column) => {
              return html(
                'tr',
                {},
                html('th', { scope: 'row' }, column.name),
                html('td', { class: 'muted mono' }, column.type),
                html('td', { class: 'number' }, integer(column.nulls)),
                html('td', { class: 'number' }, `≈ ${integer(column.distinct)}`),
                html('td', { title: cellText(column.min) }, cellText(column.min)),
                html('td', { title: cellText(column.max) }, cellText(column.max)),
                html('td', { class: 'number' }, column.mean === null ? '' : cellText(Number(column.mean.toPrecision(6)))),
              );
            }),
          ),
        ),
      ),
    () => skeleton(6),
  );
}
