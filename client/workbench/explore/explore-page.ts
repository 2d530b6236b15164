import { goQuietly } from '../app/route.ts';
import type { DatasetContext } from '../dataset/context.ts';
import { refPicker } from '../dataset/ref-picker.ts';
import { type Child, html, live } from '../ui/dom.ts';
import { counted, integer } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';
import { failure } from '../ui/resource.ts';
import { derive } from '../ui/signal.ts';
import { Explorer, type Showing } from './explorer.ts';

/** A version in a viewer, alone or together with others. */
export function explorePage(context: DatasetContext, life: AbortSignal): HTMLElement {
  const { app, datasetId } = context;
  const explorer = new Explorer({ client: app.client, datasetId, life });
  const ref = derive(life, app.route, ({ query }) => query.get('ref') ?? 'main');
  const stage = html('div', { class: 'stage' });
  const choose = (chosen: string): void => goQuietly(context.link('explore', { ref: chosen }));
  ref.watch(life, (chosen) => void explorer.show(chosen, stage));
  app.theme.watch(life, (theme) => void explorer.setTheme(theme));
  return html(
    'div',
    { class: 'explore' },
    html('h1', { class: 'visually-hidden' }, 'Explore'),
    html(
      'div',
      { class: 'explore-bar' },
      refPicker({ context, life, label: 'Version', value: ref, choose }),
      live(life, explorer.state, (state) => factsOf(state)),
      html('div', { class: 'bar-space' }),
    ),
    live(life, explorer.dropped, (dropped) => dropped.length > 0 && droppedNotice(explorer, dropped)),
    html('div', { class: 'explore-body' }, stage, live(life, explorer.state, (state) => curtain(state, () => void explorer.show(ref.value, stage)))),
  );
}

const ENGINES: Readonly<Record<string, string>> = { memory: 'in memory', duckdb: 'DuckDB' };

function factsOf(state: Showing | undefined): Child {
  if (state?.kind !== 'shown') return null;
  const { engine, rows, totalRows, truncated, versionId, schema } = state.table;
  const amount = truncated ? `${integer(rows)} of ${counted(totalRows, 'row')}` : counted(rows, 'row');
  return html('p', { class: 'muted explore-facts' }, html('span', { class: 'mono' }, `v${versionId}`), html('span', {}, amount), html('span', {}, counted(schema.length, 'column')), html('span', { class: 'label', title: 'The engine that answers' }, ENGINES[engine] ?? engine));
}

function droppedNotice(explorer: Explorer, dropped: Explorer['dropped']['value']): HTMLElement {
  const columns = [...new Set(dropped.map(({ column }) => column))];
  const dismiss = (): void => explorer.dropped.set([]);
  return html(
    'div',
    { class: 'dropped', role: 'status' },
    icon('warning'),
    html('span', {}, 'Left out of the view, because this version does not have it: ', html('strong', {}, columns.join(', '))),
    html('button', { type: 'button', class: 'button quiet square', 'aria-label': 'Dismiss', on: { click: dismiss } }, icon('close')),
  );
}

/** What lies over the viewer while there is nothing to see. */
function curtain(state: Showing | undefined, retry: () => void): Child {
  if (state?.kind === 'shown') return null;
  if (state?.kind === 'failed') return html('div', { class: 'curtain' }, failure(state.error, retry));
  return html('div', { class: 'curtain', role: 'status' }, html('div', { class: 'spinner', 'aria-hidden': 'true' }), html('p', { class: 'muted' }, state === undefined ? 'Opening…' : `Opening ${state.ref}…`));
}
