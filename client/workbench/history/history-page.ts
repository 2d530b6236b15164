import type { Branch, Tag, Version } from '../app/app.ts';
import { person } from '../app/avatar.ts';
import type { DatasetContext } from '../dataset/context.ts';
import { type Child, html, replace } from '../ui/dom.ts';
import { ago, byteSize, counted, dateTime, integer } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';
import { failure, Resource, shown, skeleton } from '../ui/resource.ts';
import { dropZone } from '../upload/drop.ts';
import { aboutPanel } from './about-panel.ts';
import { BranchHistories } from './branch-histories.ts';
import { layOut } from './graph.ts';
import { graphPicture, graphWidth } from './graph-picture.ts';
import { versionMenu } from './version-actions.ts';
import { openVersion } from './version-dialog.ts';

/** All versions that branches lead to, as a graph, beside the branches and tags. */
export function historyPage(context: DatasetContext, life: AbortSignal): HTMLElement {
  const { app, datasetId, branches } = context;
  const histories = new Resource(life, async (signal) => {
    const list = await app.client.branch.list({ datasetId, limit: 200 }, { signal });
    const found = new BranchHistories(app.client, datasetId, list.items, signal);
    await found.read();
    return found;
  });
  context.changes.watch(life, (count) => count > 0 && void histories.reload());
  const list = shown(
    life,
    histories,
    (found) => versionList(context, found),
    () => skeleton(9),
  );
  // Names may come a moment later than versions, or change alone.
  const relabel = (): void => {
    for (const place of list.querySelectorAll<HTMLElement>('[data-pointers]')) replace(place, pointers(context, Number(place.dataset.pointers)));
  };
  branches.watch(life, relabel);
  context.tags.watch(life, relabel);
  return html('div', { class: 'history' }, html('section', { class: 'history-list', 'aria-label': 'Versions' }, list), aboutPanel(context, life));
}

function versionList(context: DatasetContext, histories: BranchHistories): Child {
  const place = html('div', {});
  const draw = (): void => {
    const { versions } = histories;
    if (versions.length === 0) replace(place, nothingYet(context));
    else replace(place, rows(context, versions), histories.more && moreButton());
  };
  const moreButton = (): HTMLElement => {
    const button: HTMLButtonElement = html(
      'button',
      { type: 'button', class: 'button more', on: { click: () => more(button) } },
      'Show older versions',
    );
    return button;
  };
  const more = (button: HTMLButtonElement): void => {
    button.disabled = true;
    histories.read().then(draw, (error: unknown) => button.replaceWith(failure(error)));
  };
  draw();
  return place;
}

function nothingYet(context: DatasetContext): HTMLElement {
  return html(
    'div',
    { class: 'empty large' },
    icon('version'),
    html('h2', {}, 'No versions yet'),
    html('p', {}, 'The first file that is uploaded becomes version 1 on main.'),
    context.may('write') && dropZone((files) => context.upload(files)),
  );
}

function rows(context: DatasetContext, versions: readonly Version[]): HTMLElement {
  const graph = layOut(versions);
  const byId = new Map<number, Version>(versions.map((version) => [version.versionId, version]));
  return html(
    'ol',
    { class: 'versions' },
    versions.map((version, index) => {
      const row = graph.rows[index];
      return html(
        'li',
        { class: 'version', style: `--graph-width: ${graphWidth(graph.lanes)}px` },
        row && graphPicture(row, graph.lanes),
        versionRow(context, version, byId.get(version.parents[0] ?? 0)),
      );
    }),
  );
}

function versionRow(context: DatasetContext, version: Version, parent: Version | undefined): Child {
  const title = version.message.split('\n')[0] || 'No message';
  const open = (): void => openVersion(context, version);
  return [
    html(
      'div',
      { class: 'version-text' },
      html(
        'div',
        { class: 'version-title' },
        html('button', { type: 'button', class: version.message === '' ? 'link-button muted' : 'link-button strong', on: { click: open } }, title),
        html('span', { class: 'pointers', 'data-pointers': version.versionId }, pointers(context, version.versionId)),
      ),
      html(
        'div',
        { class: 'version-facts muted' },
        html('span', { class: 'mono' }, `v${version.versionId}`),
        person(version.author),
        html('time', { datetime: version.createdAt, title: dateTime(version.createdAt) }, ago(version.createdAt)),
        version.mode !== 'replace' && html('span', { class: 'label' }, version.mode),
        faults(version),
      ),
    ),
    html(
      'div',
      { class: 'version-numbers' },
      html('div', {}, version.rows === null ? '' : counted(version.rows, 'row'), rowChange(version, parent)),
      html('div', { class: 'muted' }, version.bytes === null ? '' : byteSize(version.bytes)),
    ),
    versionMenu(context, version),
  ];
}

function rowChange(version: Version, parent: Version | undefined): Child {
  if (version.rows === null || parent?.rows == null || version.rows === parent.rows) return null;
  const change = version.rows - parent.rows;
  return html('span', { class: change > 0 ? 'gain' : 'loss' }, ` ${change > 0 ? '+' : '−'}${integer(Math.abs(change))}`);
}

function faults({ conversion }: Version): Child {
  if (conversion.status === 'complete') return null;
  const words =
    conversion.status === 'failed'
      ? 'could not be read'
      : conversion.errorCount === null
        ? 'partly read'
        : `${counted(conversion.errorCount, 'row')} rejected`;
  return html('span', { class: 'label warning' }, words);
}

function pointers({ branches, tags }: DatasetContext, versionId: number): Child {
  const at = <Pointer extends Branch | Tag>(list: readonly Pointer[] | undefined): Pointer[] =>
    list?.filter((pointer) => pointer.versionId === versionId) ?? [];
  return [
    at(branches.latest).map(({ name, protected: isProtected }) =>
      html('span', { class: 'pointer branch' }, icon(isProtected ? 'lock' : 'branch'), name),
    ),
    at(tags.latest).map(({ name, message }) => html('span', { class: 'pointer tag', title: message }, icon('tag'), name)),
  ];
}
