import { go } from '../app/route.ts';
import { openForm, textField, textOf } from '../ui/dialog.ts';
import { html } from '../ui/dom.ts';
import { toast } from '../ui/toast.ts';
import type { DatasetContext } from './context.ts';

export const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

export function editDataset({ app, datasetId, dataset }: DatasetContext): void {
  const now = dataset.latest;
  if (now === undefined) return;
  void openForm({
    title: 'Edit dataset',
    submit: 'Save',
    fields: [
      textField({ label: 'Name', name: 'name', value: now.name, required: true }),
      textField({ label: 'Description', name: 'description', value: now.description, lines: 3 }),
      textField({ label: 'Labels', name: 'labels', value: now.labels.join(', '), hint: 'Separated by commas.' }),
      textField({
        label: 'Key columns',
        name: 'key',
        value: (now.key ?? []).join(', '),
        hint: 'They tell rows apart when versions are compared or upserted.',
      }),
    ],
    send: async (values) => {
      const key = listOf(textOf(values, 'key'));
      const changed = { name: textOf(values, 'name'), description: textOf(values, 'description'), labels: listOf(textOf(values, 'labels')) };
      await app.client.dataset.update({ datasetId, ...changed, key: key.length === 0 ? null : key });
      toast('Saved');
    },
  });
}

export function deleteDataset({ app, datasetId, dataset }: DatasetContext): void {
  const name = dataset.latest?.name ?? '';
  void openForm({
    title: 'Delete dataset',
    submit: 'Delete',
    danger: true,
    intro: html('p', {}, 'All versions, branches, tags and files of ', html('strong', {}, name), ' go. Its admins can bring it back for some days.'),
    fields: [textField({ label: `Write “${name}” to confirm`, name: 'confirmed', required: true })],
    send: async (values) => {
      if (textOf(values, 'confirmed') !== name) throw new Error('that is not the name of the dataset');
      await app.client.dataset.delete({ datasetId });
      go('#/');
      toast(`Deleted ${name}`);
    },
  });
}
