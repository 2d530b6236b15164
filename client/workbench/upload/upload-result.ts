import type { Committed, Version } from '../app/app.ts';
import { type Child, html } from '../ui/dom.ts';
import { byteSize, counted, integer } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';

/** What became of a file. */
export function uploadResult(version: Committed): HTMLElement {
  const { status } = version.conversion;
  const words = {
    complete: `Version ${version.versionId} on ${version.branch}: ${counted(version.rows, 'row')} in ${counted(version.schema.length, 'column')}.`,
    partial: `Version ${version.versionId} has ${counted(version.rows, 'row')}; ${counted(version.conversion.errorCount, 'row was', 'rows were')} rejected.`,
    failed: `The file is kept as version ${version.versionId}, but it could not be read as a table.`,
  };
  return html(
    'div',
    { class: 'upload-result' },
    html(
      'div',
      { class: `notice ${status === 'complete' ? 'success' : 'warning'}`, role: 'status' },
      icon(status === 'complete' ? 'check' : 'warning'),
      html(
        'div',
        {},
        html('p', { class: 'strong' }, words[status]),
        html('p', {}, detected(version)),
        version.identical && html('p', {}, 'The data is the same as that of the version before.'),
      ),
    ),
    parseErrors(version),
  );
}

function detected({ original }: Pick<Version, 'original'>): string {
  if (original === null) return '';
  const packed = original.compression === 'none' ? '' : `, compressed with ${original.compression}`;
  return `Detected as ${original.format.toUpperCase()}${packed}, ${byteSize(original.bytes)}.`;
}

/** Where a file could not be read, by line and column. */
export function parseErrors({ conversion }: Pick<Version, 'conversion'>): Child {
  const { errors, errorCount } = conversion;
  if (errors.length === 0) return null;
  const hidden = (errorCount ?? errors.length) - errors.length;
  return html(
    'div',
    { class: 'table-frame short', tabindex: '0', role: 'region', 'aria-label': 'Rejected rows' },
    html(
      'table',
      { class: 'grid' },
      html(
        'thead',
        {},
        html(
          'tr',
          {},
          html('th', { scope: 'col', class: 'number' }, 'Line'),
          html('th', { scope: 'col' }, 'Column'),
          html('th', { scope: 'col' }, 'Reason'),
        ),
      ),
      html(
        'tbody',
        {},
        errors.map(({ line, byte, column, reason }) =>
          html(
            'tr',
            {},
            html('td', { class: 'number' }, line !== null ? integer(line) : byte !== null ? `byte ${integer(byte)}` : ''),
            html('td', {}, column ?? ''),
            html('td', { class: 'wrap' }, reason),
          ),
        ),
      ),
    ),
    hidden > 0 && html('p', { class: 'muted pad' }, `and ${integer(hidden)} more`),
  );
}
