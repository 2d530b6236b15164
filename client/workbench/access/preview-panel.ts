import type { Access } from '../app/app.ts';
import type { DatasetContext } from '../dataset/context.ts';
import { listOf } from '../dataset/edit.ts';
import { textField, textOf } from '../ui/dialog.ts';
import { type Child, html, replace } from '../ui/dom.ts';
import { counted } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';
import { failure, skeleton } from '../ui/resource.ts';

const OBSTACLES: Readonly<Record<string, string>> = {
  not_yet_valid: 'not valid yet',
  ended: 'has ended',
  claim_missing: 'a claim is missing',
  claim_unusable: 'a claim cannot be used',
  does_not_fit: 'fits nothing of main',
};

/** Shows what somebody would see, and by which grants. */
export function previewPanel({ app, datasetId }: DatasetContext, life: AbortSignal): HTMLElement {
  const result = html('div', { 'aria-live': 'polite' });
  const form = html(
    'form',
    { class: 'form' },
    textField({ label: 'Person', name: 'subject', required: true, placeholder: 'bob' }),
    textField({ label: 'Their groups', name: 'groups', placeholder: 'team-b, analysts' }),
    textField({ label: 'Their claims', name: 'claims', placeholder: 'region=EU, level=3', hint: 'As name=value, separated by commas.' }),
    html('button', { type: 'submit', class: 'button' }, icon('eye'), 'Show what they see'),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (!form.reportValidity()) return;
    const values = new FormData(form);
    replace(result, skeleton(4));
    const input = {
      datasetId,
      subject: textOf(values, 'subject'),
      groups: listOf(textOf(values, 'groups')),
      claims: claimsOf(textOf(values, 'claims')),
    };
    app.client.access.explain(input, { signal: life }).then(
      (access) => replace(result, explained(access)),
      (error: unknown) => life.aborted || replace(result, failure(error)),
    );
  });
  return html(
    'aside',
    { class: 'about', 'aria-labelledby': 'preview-title' },
    html('h2', { id: 'preview-title' }, 'What does somebody see?'),
    form,
    result,
  );
}

function claimsOf(text: string): Record<string, unknown> {
  const pairs = listOf(text).map((pair): [string, unknown] => {
    const at = pair.indexOf('=');
    const value = pair.slice(at + 1).trim();
    return [pair.slice(0, at < 0 ? undefined : at).trim(), /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value];
  });
  return Object.fromEntries(pairs);
}

function explained({ subject, permission, unrestricted, columns, filter, grants }: Access): Child {
  if (permission === null)
    return [html('div', { class: 'notice' }, icon('lock'), html('p', {}, `To ${subject} this dataset does not exist.`)), grantLines(grants)];
  return html(
    'div',
    { class: 'preview' },
    html(
      'p',
      {},
      html('strong', {}, subject),
      ' may ',
      html('span', { class: `permission ${permission}` }, permission),
      unrestricted ? ' and sees everything.' : ` and sees ${counted(columns.length, 'column')}:`,
    ),
    !unrestricted &&
      html(
        'div',
        { class: 'labels' },
        columns.map(({ name, inEveryRow }) => html('span', { class: 'label' }, inEveryRow ? name : `${name} (in some rows)`)),
      ),
    filter !== null && html('p', {}, html('span', { class: 'muted' }, 'Rows where '), html('code', { class: 'wrap' }, filter)),
    grantLines(grants),
  );
}

function grantLines(grants: Access['grants']): Child {
  if (grants.length === 0) return html('p', { class: 'muted small' }, 'No grant names them.');
  const line = ({ principal, permission, counts, obstacle, claim }: Access['grants'][number]): HTMLElement =>
    html(
      'li',
      { class: counts ? undefined : 'muted' },
      icon(counts ? 'check' : 'close'),
      html('span', {}, `${principal}: ${permission}`),
      obstacle !== null && html('span', { class: 'label warning' }, `${OBSTACLES[obstacle] ?? obstacle}${claim === null ? '' : `: ${claim}`}`),
    );
  return html('ul', { class: 'grant-lines' }, grants.map(line));
}
