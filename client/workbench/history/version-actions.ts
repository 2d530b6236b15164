import type { Version } from '../app/app.ts';
import { go } from '../app/route.ts';
import type { DatasetContext } from '../dataset/context.ts';
import { openDownload } from '../dataset/download.ts';
import { openForm, textField, textOf } from '../ui/dialog.ts';
import { html } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { type MenuEntry, menuButton } from '../ui/menu.ts';
import { toast } from '../ui/toast.ts';

/** What can be done with a version. */
export function versionMenu(context: DatasetContext, version: Version): HTMLElement {
  const { versionId, parents } = version;
  const parent = parents[0];
  const entries: (MenuEntry | false)[] = [
    { label: 'Explore', icon: 'explore', run: () => go(context.link('explore', { ref: String(versionId) })) },
    parent !== undefined && {
      label: 'Compare with the one before',
      icon: 'compare',
      run: () => go(context.link('compare', { from: String(parent), to: String(versionId) })),
    },
    { label: 'Compare with main', icon: 'compare', run: () => go(context.link('compare', { from: String(versionId), to: 'main' })) },
    { label: 'Download…', icon: 'download', run: () => openDownload(context, version) },
    context.may('write') && { label: 'Tag…', icon: 'tag', run: () => tagVersion(context, versionId) },
    context.may('write') && { label: 'Branch from here…', icon: 'branch', run: () => branchFrom(context, String(versionId)) },
    context.may('write') && { label: 'Restore…', icon: 'restore', run: () => restoreVersion(context, versionId) },
  ];
  return menuButton({ label: `Actions for version ${versionId}`, face: icon('more'), entries: entries.filter((entry) => entry !== false) });
}

export function tagVersion({ app, datasetId }: DatasetContext, versionId: number): void {
  void openForm({
    title: `Tag version ${versionId}`,
    submit: 'Create tag',
    intro: html('p', { class: 'muted' }, 'A tag names this version for good: it never moves.'),
    fields: [textField({ label: 'Name', name: 'name', required: true, placeholder: 'v1.0' }), textField({ label: 'Message', name: 'message' })],
    send: async (values) => {
      const { name } = await app.client.tag.create({
        datasetId,
        name: textOf(values, 'name'),
        ref: String(versionId),
        message: textOf(values, 'message'),
      });
      toast(`Tagged version ${versionId} as ${name}`);
    },
  });
}

export function branchFrom({ app, datasetId }: DatasetContext, ref: string): void {
  void openForm({
    title: 'New branch',
    submit: 'Create branch',
    fields: [
      textField({ label: 'Name', name: 'name', required: true, placeholder: 'experiment' }),
      textField({ label: 'From', name: 'from', required: true, value: ref, hint: 'A branch, a tag, a version number, or such as main~2.' }),
    ],
    send: async (values) => {
      const { name } = await app.client.branch.create({ datasetId, name: textOf(values, 'name'), from: textOf(values, 'from') });
      toast(`Created branch ${name}`);
    },
  });
}

function restoreVersion({ app, datasetId }: DatasetContext, versionId: number): void {
  void openForm({
    title: `Restore version ${versionId}`,
    submit: 'Restore',
    intro: html(
      'p',
      { class: 'muted' },
      'The branch gets a new version with the rows of this one. Nothing is lost: what it has now stays in the history.',
    ),
    fields: [
      textField({ label: 'Branch', name: 'branch', required: true, value: 'main' }),
      textField({ label: 'Message', name: 'message', value: `Restore version ${versionId}` }),
    ],
    send: async (values) => {
      const made = await app.client.version.commit({
        datasetId,
        branch: textOf(values, 'branch'),
        message: textOf(values, 'message'),
        restore: String(versionId),
      });
      toast(`Version ${made.versionId} on ${made.branch} has the rows of version ${versionId}`);
    },
  });
}
