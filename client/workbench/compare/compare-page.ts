import { CovistaError } from '../../index.ts';
import type { Route } from '../app/route.ts';
import { goQuietly } from '../app/route.ts';
import type { DatasetContext } from '../dataset/context.ts';
import { refPicker } from '../dataset/ref-picker.ts';
import { choiceField } from '../ui/dialog.ts';
import { html, live } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { Resource, shown, skeleton } from '../ui/resource.ts';
import { derive, type Readable } from '../ui/signal.ts';
import { rowChanges } from './row-changes.ts';
import { schemaChanges } from './schema-changes.ts';

export interface Comparison {
  readonly from: string;
  readonly to: string;
  /** How rows are told apart: by the key of the versions, or as a whole. */
  readonly by: 'key' | 'whole';
}

/** What changed between two versions: columns, numbers, and every row. */
export function comparePage(context: DatasetContext, life: AbortSignal): HTMLElement {
  const { route } = context.app;
  const from = derive(life, route, ({ query }) => query.get('from') ?? 'main~1');
  const to = derive(life, route, ({ query }) => query.get('to') ?? 'main');
  const chosen = (change: Partial<Comparison>): void => {
    const now = comparisonOf(route.value);
    goQuietly(context.link('compare', { ...now, ...change }));
  };
  const swap = (): void => chosen({ from: to.value, to: from.value });
  return html(
    'div',
    { class: 'compare' },
    html('h1', { class: 'visually-hidden' }, 'Compare two versions'),
    html(
      'div',
      { class: 'compare-head' },
      html('span', { class: 'muted' }, 'From'),
      refPicker({ context, life, label: 'From', value: from, choose: (ref) => chosen({ from: ref }) }),
      html(
        'button',
        { type: 'button', class: 'button quiet square', 'aria-label': 'Swap the two', title: 'Swap the two', on: { click: swap } },
        icon('compare'),
      ),
      html('span', { class: 'muted' }, 'to'),
      refPicker({ context, life, label: 'To', value: to, choose: (ref) => chosen({ to: ref }) }),
      html('div', { class: 'bar-space' }),
      keyChoice(route.value, chosen),
    ),
    results(context, life),
  );
}

const comparisonOf = ({ query }: Route): Comparison => ({
  from: query.get('from') ?? 'main~1',
  to: query.get('to') ?? 'main',
  by: query.get('by') === 'whole' ? 'whole' : 'key',
});

function keyChoice(route: Route, chosen: (change: Partial<Comparison>) => void): HTMLElement {
  const choices = [
    { value: 'key', label: 'by key' },
    { value: 'whole', label: 'as a whole' },
  ];
  const field = choiceField({ label: 'Compare rows', name: 'by', value: comparisonOf(route).by, choices });
  field.classList.add('inline');
  field.addEventListener('change', (event) => chosen({ by: (event.target as HTMLSelectElement).value === 'whole' ? 'whole' : 'key' }));
  return field;
}

function results(context: DatasetContext, life: AbortSignal): HTMLElement {
  const text: Readable<string> = derive(life, context.app.route, (route) => JSON.stringify(comparisonOf(route)));
  return live(life, text, (json, inner) => {
    const comparison = JSON.parse(json) as Comparison;
    const { datasetId, app } = context;
    const { from, to } = comparison;
    const isChosen = app.route.value.query.get('from') !== undefined || app.route.value.query.get('to') !== undefined;
    const schema = new Resource(inner, (signal) =>
      app.client.diff.schema({ datasetId, from, to }, { signal }).catch((error: unknown) => {
        if (!isChosen && error instanceof CovistaError && error.code === 'not_found') return null;
        throw error;
      }),
    );
    context.changes.watch(inner, (count) => count > 0 && schema.latest === null && void schema.reload());
    return shown(
      inner,
      schema,
      (compared, life) => (compared === null ? nothingYet() : [schemaChanges(compared), rowChanges(context, comparison, life)]),
      () => skeleton(6),
    );
  });
}

/** What is compared unless somebody chooses are the last two versions of main. */
function nothingYet(): HTMLElement {
  return html(
    'div',
    { class: 'empty large' },
    icon('compare'),
    html('h2', {}, 'Nothing to compare yet'),
    html('p', {}, 'The second version on main is compared with the first. Any two can be chosen above.'),
  );
}
