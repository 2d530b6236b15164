import { collect, type Grant } from '../app/app.ts';
import type { DatasetContext } from '../dataset/context.ts';
import { openForm } from '../ui/dialog.ts';
import { html } from '../ui/dom.ts';
import { dateTime } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';
import { Resource, shown, skeleton } from '../ui/resource.ts';
import { Signal } from '../ui/signal.ts';
import { toast } from '../ui/toast.ts';
import { newGrant } from './grant-form.ts';
import { type Previewed, previewPanel } from './preview-panel.ts';

const GRANTS_MAX = 2_000;

/** Who may do what with the dataset and sees which rows and columns, for its admins. */
export function accessPage(context: DatasetContext, life: AbortSignal): HTMLElement {
  const { client } = context.app;
  const { datasetId } = context;
  const grants = new Resource(life, (signal) => collect(client.items(client.grant.list, { datasetId, limit: 200 }, { signal }), GRANTS_MAX));
  context.changes.watch(life, (count) => count > 0 && void grants.reload());
  const previewed = new Signal<Previewed | undefined>(undefined);
  return html(
    'div',
    { class: 'access' },
    html(
      'section',
      { 'aria-labelledby': 'grants-title' },
      html(
        'div',
        { class: 'page-head' },
        html('h1', { id: 'grants-title' }, 'Access'),
        html('div', { class: 'bar-space' }),
        html('button', { type: 'button', class: 'button primary', on: { click: () => newGrant(context) } }, icon('plus'), 'Give access'),
      ),
      html(
        'p',
        { class: 'muted access-lead' },
        'Nobody sees anything without a grant. A cell is visible if one grant shows both its row and its column.',
      ),
      shown(
        life,
        grants,
        (list) => grantTable(context, list, previewed),
        () => skeleton(4),
      ),
    ),
    previewPanel(context, previewed, life),
  );
}

function grantTable(context: DatasetContext, grants: readonly Grant[], previewed: Signal<Previewed | undefined>): HTMLElement {
  const heads = ['Who', 'May', 'Sees', 'When', 'Given by', ''];
  return html(
    'table',
    { class: 'list grants' },
    html(
      'thead',
      {},
      html(
        'tr',
        {},
        heads.map((head) => (head === '' ? html('td', {}) : html('th', { scope: 'col' }, head))),
      ),
    ),
    html(
      'tbody',
      {},
      grants.map((grant) => grantRow(context, grant, previewed)),
    ),
  );
}

function grantRow(context: DatasetContext, grant: Grant, previewed: Signal<Previewed | undefined>): HTMLElement {
  const [kind, name] = split(grant.principal);
  return html(
    'tr',
    {},
    html('td', {}, html('span', { class: 'person' }, icon(kind === 'group' ? 'people' : 'person'), html('span', { class: 'strong' }, name))),
    html('td', {}, html('span', { class: `permission ${grant.permission}` }, grant.permission)),
    html('td', {}, visible(grant)),
    html('td', {}, period(grant)),
    html('td', { class: 'muted' }, grant.grantedBy),
    html(
      'td',
      { class: 'row-action' },
      html(
        'button',
        {
          type: 'button',
          class: 'button quiet square',
          'aria-label': `Show what ${name} sees`,
          title: 'Show what they see',
          on: { click: () => previewed.set(kind === 'group' ? { subject: '', groups: name } : { subject: name, groups: '' }) },
        },
        icon('eye'),
      ),
      html(
        'button',
        {
          type: 'button',
          class: 'button quiet square',
          'aria-label': `Take back the grant of ${name}`,
          title: 'Take back',
          on: { click: () => takeBack(context, grant) },
        },
        icon('trash'),
      ),
    ),
  );
}

/** A filter that somebody wrote would be lost by a slip of the hand. */
function takeBack({ app, datasetId }: DatasetContext, { principal, permission, grantId }: Grant): void {
  const [, name] = split(principal);
  void openForm({
    title: 'Take back a grant',
    submit: 'Take back',
    danger: true,
    intro: html('p', {}, html('strong', {}, name), ` may ${permission} by this grant. What other grants allow stays.`),
    fields: [],
    send: async () => {
      await app.client.grant.revoke({ datasetId, grantId });
      toast(`${name} lost that grant`);
    },
  });
}

function split(principal: string): readonly [kind: string, name: string] {
  const at = principal.indexOf(':');
  return [principal.slice(0, at), principal.slice(at + 1)];
}

function visible({ rowFilter, columnMask }: Grant): HTMLElement {
  if (rowFilter === null && columnMask === null) return html('span', { class: 'muted' }, 'everything');
  return html(
    'div',
    {},
    rowFilter !== null && html('div', {}, html('span', { class: 'muted' }, 'rows where '), html('code', { class: 'wrap' }, rowFilter)),
    columnMask !== null && html('div', {}, html('span', { class: 'muted' }, 'without '), columnMask.join(', ')),
  );
}

function period({ validFrom, validUntil }: Grant): string {
  if (validFrom === null && validUntil === null) return 'always';
  return [validFrom !== null && `from ${dateTime(validFrom)}`, validUntil !== null && `until ${dateTime(validUntil)}`]
    .filter((part) => part !== false)
    .join(' ');
}
