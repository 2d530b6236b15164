import { type Child, html } from '../ui/dom.ts';
import { cellText, counted } from '../ui/format.ts';
import type { Change } from './row-changes.ts';

type Row = Readonly<Record<string, unknown>>;

const SIGNS = { added: '+', removed: '−', changed: '~' } as const;

/** Changes as a table: the key first, then every column that a change shows; changed cells say what they were. */
export function changeTable(changes: readonly Change[], key: readonly string[] | null): HTMLElement {
  const columns = columnsOf(changes, key ?? []);
  return html(
    'div',
    { class: 'table-frame changes', tabindex: '0', role: 'region', 'aria-label': 'Changed rows' },
    html(
      'table',
      { class: 'grid' },
      html(
        'thead',
        {},
        html(
          'tr',
          {},
          html('th', { scope: 'col' }, html('span', { class: 'visually-hidden' }, 'Kind')),
          columns.map((column) => html('th', { scope: 'col', class: headClass(changes, column, key ?? []) }, column)),
        ),
      ),
      html(
        'tbody',
        {},
        changes.map((change) => row(change, columns)),
      ),
    ),
  );
}

function columnsOf(changes: readonly Change[], key: readonly string[]): string[] {
  const columns = new Set(key);
  for (const change of changes) for (const side of sidesOf(change)) for (const column of Object.keys(side)) columns.add(column);
  return [...columns];
}

/** Numbers stand to the right, and what is above them as well. */
function headClass(changes: readonly Change[], column: string, key: readonly string[]): string | undefined {
  if (key.includes(column)) return 'key';
  return changes.some((change) => sidesOf(change).some((side) => typeof side[column] === 'number')) ? 'number' : undefined;
}

function sidesOf(change: Change): Row[] {
  if ('row' in change) return [change.row];
  return [change.key, change.before, change.after].filter((side) => side !== undefined);
}

function row(change: Change, columns: readonly string[]): HTMLElement {
  const times = 'count' in change && change.count > 1 ? html('span', { class: 'muted' }, ` × ${counted(change.count, 'time')}`) : null;
  const sign = html('td', { class: 'sign' }, html('span', { 'aria-label': change.kind, role: 'img' }, SIGNS[change.kind]), times);
  return html(
    'tr',
    { class: change.kind },
    sign,
    columns.map((column) => cell(change, column)),
  );
}

function cell(change: Change, column: string): HTMLElement {
  if ('row' in change) return plain(change.row[column]);
  const { key, before, after } = change;
  if (column in key) return html('th', { scope: 'row' }, cellText(key[column]));
  if (change.kind !== 'changed' || change.changed?.includes(column) !== true) return plain((after ?? before)?.[column]);
  const side = typeof (after?.[column] ?? before?.[column]) === 'number' ? 'cell-changed number' : 'cell-changed';
  return html('td', { class: side }, was(before?.[column]), ' ', html('ins', {}, shownValue(after?.[column])));
}

const plain = (value: unknown): HTMLElement => html('td', { class: typeof value === 'number' ? 'number' : undefined }, cellText(value));
const was = (value: unknown): Child => html('del', {}, shownValue(value));
const shownValue = (value: unknown): string => (value === null || value === undefined || value === '' ? '∅' : cellText(value));
