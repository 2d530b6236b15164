import type { DatasetContext } from '../dataset/context.ts';
import { choiceField, openForm, textField, textOf } from '../ui/dialog.ts';
import { html, uniqueId } from '../ui/dom.ts';
import { Resource, shown, skeleton } from '../ui/resource.ts';
import { toast } from '../ui/toast.ts';

const KINDS = [
  { value: 'user', label: 'A person' },
  { value: 'group', label: 'A group' },
] as const;
const PERMISSIONS = [
  { value: 'read', label: 'Read: explore, compare, download' },
  { value: 'write', label: 'Write: commit, branch, tag, annotate' },
  { value: 'admin', label: 'Admin: give access, protect, delete' },
] as const;

type Permission = (typeof PERMISSIONS)[number]['value'];

/** Asks who gets which access, and gives it. */
export function newGrant(context: DatasetContext): void {
  void openForm({
    title: 'Give access',
    submit: 'Give access',
    fields: [
      html(
        'div',
        { class: 'form-row' },
        choiceField({ label: 'To', name: 'kind', choices: KINDS }),
        textField({ label: 'Name', name: 'name', required: true, placeholder: 'bob' }),
      ),
      choiceField({ label: 'They may', name: 'permission', choices: PERMISSIONS }),
      html(
        'fieldset',
        { class: 'narrow' },
        html('legend', {}, 'Only some rows and columns (read only)'),
        textField({
          label: 'Rows where',
          name: 'rowFilter',
          lines: 2,
          placeholder: "region = {{region}} and status <> 'draft'",
          hint: 'A SQL condition; {{claim}} stands for a claim of the reader’s token. Empty: all rows.',
        }),
        columnChoice(context),
      ),
      html(
        'div',
        { class: 'form-row' },
        textField({ label: 'From', name: 'validFrom', type: 'datetime-local', hint: 'Empty: from now on.' }),
        textField({ label: 'Until', name: 'validUntil', type: 'datetime-local', hint: 'Empty: for good.' }),
      ),
    ],
    send: async (values) => {
      const rowFilter = textOf(values, 'rowFilter');
      const columnMask = values.getAll('hidden').map(String);
      const given = await context.app.client.grant.create({
        datasetId: context.datasetId,
        principal: `${textOf(values, 'kind')}:${textOf(values, 'name')}`,
        permission: textOf(values, 'permission') as Permission,
        rowFilter: rowFilter === '' ? null : rowFilter,
        columnMask: columnMask.length === 0 ? null : columnMask,
        validFrom: instantOf(textOf(values, 'validFrom')),
        validUntil: instantOf(textOf(values, 'validUntil')),
      });
      toast(`${given.principal.replace(/^\w+:/, '')} may ${given.permission} now`);
    },
  });
}

/** What was chosen in the person's own time zone. */
const instantOf = (chosen: string): string | null => (chosen === '' ? null : new Date(chosen).toISOString());

/** The columns of main with a box each for hiding it. */
function columnChoice({ app, datasetId, life }: DatasetContext): HTMLElement {
  const columns = new Resource(life, (signal) => app.client.access.get({ datasetId }, { signal }).then((access) => access.columns));
  const titleId = uniqueId('hidden');
  const box = (name: string): HTMLElement =>
    html('label', { class: 'check' }, html('input', { type: 'checkbox', name: 'hidden', value: name }), name);
  return html(
    'div',
    { class: 'field' },
    html('span', { class: 'field-label', id: titleId }, 'Hide columns'),
    shown(
      life,
      columns,
      (list) =>
        list.length === 0
          ? html('p', { class: 'hint' }, 'There are no columns yet.')
          : html(
              'div',
              { class: 'checks', role: 'group', 'aria-labelledby': titleId, tabindex: '0' },
              list.map(({ name }) => box(name)),
            ),
      () => skeleton(2),
    ),
  );
}
