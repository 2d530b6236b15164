import type { Access } from '../app/app.ts';
import type { DatasetContext } from '../dataset/context.ts';
import { listOf } from '../dataset/edit.ts';
import { textField, textOf } from '../ui/dialog.ts';
import { type Child, html, replace } from '../ui/dom.ts';
import { cellText, counted, integer, isNumeric } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';
import { failure, skeleton } from '../ui/resource.ts';
import { type Readable, whenChanged } from '../ui/signal.ts';

const OBSTACLES: Readonly<Record<string, string>> = {
  not_yet_valid: 'not valid yet',
  ended: 'has ended',
  claim_missing: 'a claim is missing',
  claim_unusable: 'a claim cannot be used',
  does_not_fit: 'fits nothing of main',
};

/** Rows that are shown of what somebody sees. */
const PREVIEW_ROWS = 50;

/** Whom the preview is about: a person by name, or by a group. */
export interface Previewed {
  readonly subject: string;
  readonly groups: string;
}

/** Shows what somebody would see, down to the rows, and by which grants. */
export function previewPanel({ app, datasetId }: DatasetContext, previewed: Readable<Previewed | undefined>, life: AbortSignal): HTMLElement {
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
    const { access: asked } = app.client;
    Promise.all([asked.explain(input, { signal: life }), asked.preview({ ...input, limit: PREVIEW_ROWS }, { signal: life })]).then(
      ([access, rows]) => replace(result, explained(access), access.permission !== null && sample(access.subject, rows)),
      (error: unknown) => life.aborted || replace(result, failure(error)),
    );
  });
  whenChanged(life, previewed, (somebody) => {
    if (somebody === undefined) return;
    form.reset();
    for (const [name, value] of Object.entries(somebody)) {
      const input = form.elements.namedItem(name);
      if (input instanceof HTMLInputElement) input.value = value;
    }
    if (somebody.subject === '') form.querySelector('input')?.focus();
    else form.requestSubmit();
  });
  return html(
    'aside',
    { class: 'about', 'aria-labelledby': 'preview-title' },
    html('h2', { id: 'preview-title' }, 'What does somebody see?'),
    form,
    result,
  );
}

type Sample = Awaited<ReturnType<DatasetContext['app']['client']['access']['preview']>>;

/** The first rows as that person sees them. */
function sample(subject: string, { schema, rows, totalRows }: Sample): Child {
  if (rows.length === 0) return html('p', { class: 'muted' }, 'No row of main is visible to them.');
  const seen = totalRows > rows.length ? `the first ${integer(rows.length)} of ${counted(totalRows, 'row')}` : counted(totalRows, 'row');
  return html(
    'section',
    { class: 'sample', 'aria-label': `Rows as ${subject} sees them` },
    html('h3', {}, `main as ${subject} sees it`, html('span', { class: 'muted small' }, ` · ${seen}`)),
    html(
      'div',
      { class: 'table-frame', tabindex: '0', role: 'region', 'aria-label': 'Rows' },
      html(
        'table',
        { class: 'grid' },
        html(
          'thead',
          {},
          html(
            'tr',
            {},
            schema.map(({ name, type }) => html('th', { scope: 'col', class: sideOf(type) }, name)),
          ),
        ),
        html(
          'tbody',
          {},
          rows.map((row) =>
            html(
              'tr',
              {},
              schema.map(({ name, type }) => html('td', { class: sideOf(type) }, cellText(row[name]))),
            ),
          ),
        ),
      ),
    ),
  );
}

const sideOf = (type: string): string | undefined => (isNumeric(type) ? 'number' : undefined);

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
      html('span', {}, `${principal.replace('user:', '').replace('group:', 'group ')} may ${permission}`),
      obstacle !== null && html('span', { class: 'label warning' }, `${OBSTACLES[obstacle] ?? obstacle}${claim === null ? '' : `: ${claim}`}`),
    );
  return html('ul', { class: 'grant-lines' }, grants.map(line));
}
