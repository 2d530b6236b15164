import type { Branch, Tag } from '../app/app.ts';
import { go } from '../app/route.ts';
import type { DatasetContext } from '../dataset/context.ts';
import { openForm, textField, textOf } from '../ui/dialog.ts';
import { type Child, html, live } from '../ui/dom.ts';
import { ago } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';
import { type MenuEntry, menuButton } from '../ui/menu.ts';
import { shown, skeleton } from '../ui/resource.ts';
import { attempt, toast } from '../ui/toast.ts';
import { branchFrom } from './version-actions.ts';

/** What the dataset is, and the names of its versions. */
export function aboutPanel(context: DatasetContext, life: AbortSignal): HTMLElement {
  const { dataset, branches, tags } = context;
  const about = shown(
    life,
    dataset,
    ({ name, description, labels, key, createdBy, createdAt }) => [
      html('h1', { class: 'about-name' }, name),
      description !== '' && html('p', {}, description),
      labels.length > 0 &&
        html(
          'div',
          { class: 'labels' },
          labels.map((label) => html('span', { class: 'label' }, label)),
        ),
      html(
        'p',
        { class: 'muted small' },
        key === null ? 'No key columns: rows are compared as a whole.' : ['Key: ', html('span', { class: 'mono' }, key.join(', '))],
      ),
      html('p', { class: 'muted small' }, `Created by ${createdBy} ${ago(createdAt)}`),
    ],
    () => skeleton(3),
  );
  return html(
    'aside',
    { class: 'about', 'aria-label': 'About the dataset' },
    about,
    html('div', { class: 'about-head' }, html('h2', {}, 'Branches'), newBranch(context, life)),
    shown(
      life,
      branches,
      (list) =>
        list.length === 0
          ? html('p', { class: 'muted small' }, 'None yet')
          : html(
              'ul',
              { class: 'pointer-list' },
              list.map((branch) => branchRow(context, branch)),
            ),
      () => skeleton(2),
    ),
    html('div', { class: 'about-head' }, html('h2', {}, 'Tags')),
    shown(
      life,
      tags,
      (list) =>
        list.length === 0
          ? html('p', { class: 'muted small' }, 'None yet. Tags are made from a version’s menu.')
          : html(
              'ul',
              { class: 'pointer-list' },
              list.map((tag) => tagRow(context, tag)),
            ),
      () => skeleton(2),
    ),
  );
}

function newBranch(context: DatasetContext, life: AbortSignal): HTMLElement {
  const make = (): void => branchFrom(context, 'main');
  const attributes = { type: 'button', class: 'button quiet square', 'aria-label': 'New branch', title: 'New branch', on: { click: make } };
  return live(life, context.access, () => context.may('write') && html('button', attributes, icon('plus')));
}

function branchRow(context: DatasetContext, branch: Branch): HTMLElement {
  const { name, versionId, protected: isProtected, movedAt } = branch;
  return html(
    'li',
    {},
    html(
      'span',
      { class: 'pointer branch' },
      icon(isProtected ? 'lock' : 'branch'),
      name,
      isProtected && html('span', { class: 'visually-hidden' }, ' (protected)'),
    ),
    html('span', { class: 'muted small' }, `v${versionId} · ${ago(movedAt)}`),
    menuButton({ label: `Actions for branch ${name}`, face: icon('more'), entries: branchEntries(context, branch) }),
  );
}

function branchEntries(context: DatasetContext, { name, versionId, protected: isProtected }: Branch): MenuEntry[] {
  const { app, datasetId } = context;
  const at = { datasetId, branch: name };
  const protect = async (): Promise<void> => {
    await app.client.branch.protect({ ...at, protected: !isProtected });
    toast(isProtected ? `${name} is open to everybody who may write` : `${name} is protected: only admins commit to it`);
  };
  const entries: (MenuEntry | false)[] = [
    { label: 'Explore', icon: 'explore', run: () => go(context.link('explore', { ref: name })) },
    name !== 'main' && { label: 'Compare with main', icon: 'compare', run: () => go(context.link('compare', { from: 'main', to: name })) },
    context.may('write') && { label: 'Branch from here…', icon: 'branch', run: () => branchFrom(context, name) },
    context.may('admin') && {
      label: isProtected ? 'Lift the protection' : 'Protect',
      icon: isProtected ? 'unlock' : 'lock',
      run: () => attempt(protect()),
    },
    context.may('write') && name !== 'main' && { label: 'Rename…', icon: 'edit', run: () => renameBranch(context, name) },
    context.may('write') &&
      name !== 'main' &&
      !isProtected && { label: 'Delete…', icon: 'trash', danger: true, run: () => deleteBranch(context, name, versionId) },
  ];
  return entries.filter((entry) => entry !== false);
}

function renameBranch({ app, datasetId }: DatasetContext, branch: string): void {
  void openForm({
    title: `Rename ${branch}`,
    submit: 'Rename',
    fields: [textField({ label: 'New name', name: 'name', value: branch, required: true })],
    send: async (values) => {
      await app.client.branch.rename({ datasetId, branch, name: textOf(values, 'name') });
    },
  });
}

function deleteBranch({ app, datasetId }: DatasetContext, branch: string, expectedHead: Branch['versionId']): void {
  void openForm({
    title: `Delete ${branch}`,
    submit: 'Delete branch',
    danger: true,
    intro: html('p', {}, `The name goes; its versions stay and can be reached by their numbers, such as v${expectedHead}.`),
    fields: [],
    send: async () => {
      await app.client.branch.delete({ datasetId, branch, expectedHead });
      toast(`Deleted branch ${branch}`);
    },
  });
}

function tagRow(context: DatasetContext, { name, versionId, message, createdBy }: Tag): HTMLElement {
  const entries: MenuEntry[] = [
    { label: 'Explore', icon: 'explore', run: () => go(context.link('explore', { ref: name })) },
    { label: 'Compare with main', icon: 'compare', run: () => go(context.link('compare', { from: name, to: 'main' })) },
    ...(context.may('write') ? [{ label: 'Branch from here…', icon: 'branch', run: () => branchFrom(context, name) } as const] : []),
  ];
  const words: Child = message === '' ? `v${versionId} · ${createdBy}` : `v${versionId} · ${message}`;
  return html(
    'li',
    {},
    html('span', { class: 'pointer tag' }, icon('tag'), name),
    html('span', { class: 'muted small clipped' }, words),
    menuButton({ label: `Actions for tag ${name}`, face: icon('more'), entries }),
  );
}
