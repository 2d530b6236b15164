import type { Client } from '../../index.ts';
import type { DatasetContext } from '../dataset/context.ts';
import { type Child, html, replace } from '../ui/dom.ts';
import { integer } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';
import { failure, Resource, shown, skeleton } from '../ui/resource.ts';
import { changeTable } from './change-table.ts';
import type { Comparison } from './compare-page.ts';

type RowComparison = Awaited<ReturnType<Client['diff']['rows']>>;
export type Change = RowComparison['changes'][number];

const PAGE_ROWS = 100;

/** How many rows differ, and which, page by page. */
export function rowChanges(context: DatasetContext, comparison: Comparison, life: AbortSignal): HTMLElement {
  const load = (signal: AbortSignal, cursor?: string): Promise<RowComparison> => {
    const { from, to, by } = comparison;
    const input = {
      datasetId: context.datasetId,
      from,
      to,
      limit: PAGE_ROWS,
      ...(by === 'whole' ? { key: null } : {}),
      ...(cursor === undefined ? {} : { cursor }),
    };
    return context.app.client.diff.rows(input, { signal });
  };
  const first = new Resource(life, (signal) => load(signal));
  return shown(
    life,
    first,
    (page, inner) => pages(page, (cursor) => load(inner, cursor)),
    () => skeleton(10),
  );
}

function pages(first: RowComparison, load: (cursor: string) => Promise<RowComparison>): Child {
  const { counts } = first;
  if (counts.added + counts.removed + counts.changed === 0)
    return html('div', { class: 'empty' }, icon('check'), html('h2', {}, 'Every row is the same'));
  const place = html('div', {});
  /** The cursors of the pages so far; the first has none. */
  const cursors: (string | undefined)[] = [undefined];
  const show = (page: RowComparison): void => {
    const forward = page.next;
    const buttons = html(
      'div',
      { class: 'pager' },
      html(
        'button',
        { type: 'button', class: 'button', disabled: cursors.length === 1, on: { click: () => move(cursors.slice(0, -1)) } },
        'Previous',
      ),
      html('span', { class: 'muted' }, `Page ${cursors.length}`),
      html('button', { type: 'button', class: 'button', disabled: forward === undefined, on: { click: () => move([...cursors, forward]) } }, 'Next'),
    );
    replace(place, changeTable(page.changes, page.key), (forward !== undefined || cursors.length > 1) && buttons);
  };
  const move = (to: readonly (string | undefined)[]): void => {
    place.setAttribute('aria-busy', 'true');
    const cursor = to.at(-1);
    (cursor === undefined ? Promise.resolve(first) : load(cursor))
      .then(
        (page) => {
          cursors.splice(0, cursors.length, ...to);
          show(page);
        },
        (error: unknown) =>
          replace(
            place,
            failure(error, () => move(to)),
          ),
      )
      .finally(() => place.removeAttribute('aria-busy'));
  };
  show(first);
  return html('section', { 'aria-label': 'Rows' }, tally(first), place);
}

function tally({ counts, key }: RowComparison): HTMLElement {
  return html(
    'div',
    { class: 'tally' },
    pill('added', '+', counts.added),
    pill('removed', '−', counts.removed),
    key !== null && pill('changed', '~', counts.changed),
    html(
      'span',
      { class: 'muted small' },
      key === null ? 'Rows are compared as a whole' : ['Rows are told apart by ', html('span', { class: 'mono' }, key.join(', '))],
    ),
  );
}

function pill(kind: string, sign: string, count: number): HTMLElement {
  return html('span', { class: count === 0 ? 'count' : `count ${kind}` }, `${count === 0 ? '' : sign}${integer(count)} ${kind}`);
}
