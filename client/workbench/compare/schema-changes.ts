import type { Client } from '../../index.ts';
import { type Child, html } from '../ui/dom.ts';
import { counted, integer } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';

type SchemaComparison = Awaited<ReturnType<Client['diff']['schema']>>;

/** The columns that differ, and whether a reader of the one can read the other. */
export function schemaChanges(compared: SchemaComparison): Child {
  const { added, removed, retyped, reordered, rows } = compared;
  const lines = [
    ...added.map(({ name, type }) => line('added', '+', name, type)),
    ...removed.map(({ name, type }) => line('removed', '−', name, type)),
    ...retyped.map(({ name, from, to }) => line('changed', '~', name, `${from} → ${to}`)),
    ...reordered.map(({ name, from, to }) => line('moved', '↕', name, `column ${from + 1} → ${to + 1}`)),
  ];
  return html(
    'section',
    { class: 'schema-changes', 'aria-label': 'Columns' },
    html(
      'div',
      { class: 'schema-summary' },
      html('h2', {}, `Version ${compared.fromVersionId} → ${compared.toVersionId}`),
      html('span', { class: 'muted' }, `${integer(rows.from)} → ${counted(rows.to, 'row')}`),
      verdict(compared),
    ),
    lines.length === 0 ? html('p', { class: 'muted' }, 'The columns are the same.') : html('ul', { class: 'schema-lines' }, lines),
  );
}

function line(kind: string, sign: string, name: string, note: string): HTMLElement {
  return html(
    'li',
    { class: kind },
    html('span', { class: 'sign', 'aria-label': kind }, sign),
    html('span', { class: 'strong' }, name),
    html('span', { class: 'muted mono' }, note),
  );
}

function verdict({ compatible, dataLoss, keyChanged }: SchemaComparison): Child {
  return [
    compatible ? html('span', { class: 'label' }, 'compatible') : html('span', { class: 'label warning' }, icon('warning'), 'not compatible'),
    dataLoss && html('span', { class: 'label warning' }, 'loses data'),
    keyChanged && html('span', { class: 'label warning' }, 'other key'),
  ];
}
