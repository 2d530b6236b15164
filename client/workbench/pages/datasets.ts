import { type App, collect, type Dataset, type Version } from '../app/app.ts';
import { person } from '../app/avatar.ts';
import { go, linkTo } from '../app/route.ts';
import type { Shell } from '../app/shell.ts';
import { openForm, textField, textOf } from '../ui/dialog.ts';
import { type Child, html, replace, whenSeen } from '../ui/dom.ts';
import { ago, byteSize, counted, dateTime, integer } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';
import { Resource, shown, skeleton } from '../ui/resource.ts';
import { acceptFiles, dropZone } from '../upload/drop.ts';
import { openUpload } from '../upload/upload-dialog.ts';

/** More are found by searching. */
const DATASETS_SHOWN_MAX = 500;
const SEARCH_DELAY_MS = 150;

/** All datasets that somebody may read. */
export function datasetsPage(app: App, shell: Shell, life: AbortSignal): HTMLElement {
  shell.setCrumbs([{ label: 'Datasets' }]);
  let search = '';
  const load = (signal: AbortSignal): Promise<Dataset[]> =>
    collect(app.client.items(app.client.dataset.list, { limit: 100, ...(search === '' ? {} : { search }) }, { signal }), DATASETS_SHOWN_MAX);
  const list = new Resource(life, load);
  const upload = (files: readonly File[]): void => void openUpload({ app, files }).then(() => list.reload());
  const find = debounced(life, (text) => {
    search = text;
    void list.reload();
  });
  const page = html(
    'div',
    { class: 'page' },
    html(
      'div',
      { class: 'page-head' },
      html('h1', {}, 'Datasets'),
      searchField(life, find),
      html('div', { class: 'bar-space' }),
      html('button', { type: 'button', class: 'button', on: { click: () => newDataset(app) } }, icon('plus'), 'New dataset'),
      uploadButton(upload),
    ),
    shown(
      life,
      list,
      (datasets, inner) => (datasets.length === 0 ? nothingHere(search, upload) : table(app, datasets, inner)),
      () => skeleton(8),
    ),
  );
  acceptFiles(page, { life, label: () => 'Drop to upload as a new dataset', accept: upload });
  app.connection.watch(life, ({ kind }) => kind === 'open' && list.value.kind === 'ready' && void list.reload());
  return page;
}

function debounced(life: AbortSignal, run: (text: string) => void): (text: string) => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  life.addEventListener('abort', () => clearTimeout(timer));
  return (text) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(text), SEARCH_DELAY_MS);
  };
}

function searchField(life: AbortSignal, find: (text: string) => void): HTMLElement {
  const input = html('input', {
    type: 'search',
    class: 'input',
    placeholder: 'Search names, descriptions, labels',
    'aria-label': 'Search datasets',
  });
  input.addEventListener('input', () => find(input.value.trim()));
  const shortcut = (event: KeyboardEvent): void => {
    if (event.key !== '/' || event.target instanceof HTMLInputElement || document.querySelector('dialog[open]') !== null) return;
    event.preventDefault();
    input.focus();
  };
  document.addEventListener('keydown', shortcut, { signal: life });
  return html('div', { class: 'search' }, icon('search'), input, html('kbd', { class: 'key-hint', 'aria-hidden': 'true' }, '/'));
}

export function uploadButton(upload: (files: readonly File[]) => void, label = 'Upload'): HTMLElement {
  const input = html('input', { type: 'file', class: 'visually-hidden', 'aria-label': 'Choose files to upload', tabindex: '-1' });
  input.addEventListener('change', () => {
    upload([...(input.files ?? [])]);
    input.value = '';
  });
  return html(
    'span',
    {},
    html('button', { type: 'button', class: 'button primary', on: { click: () => input.click() } }, icon('upload'), label),
    input,
  );
}

function nothingHere(search: string, upload: (files: readonly File[]) => void): Child {
  if (search !== '')
    return html(
      'div',
      { class: 'empty' },
      icon('search'),
      html('h2', {}, `Nothing matches “${search}”`),
      html('p', {}, 'Names, descriptions and labels are searched.'),
    );
  return html(
    'div',
    { class: 'empty large' },
    icon('table'),
    html('h2', {}, 'No datasets yet'),
    html('p', {}, 'Upload a file to begin. Each upload becomes a version that you can explore, compare and share.'),
    dropZone(upload),
  );
}

function newDataset(app: App): void {
  void openForm({
    title: 'New dataset',
    submit: 'Create',
    fields: [
      textField({ label: 'Name', name: 'name', required: true, placeholder: 'Orders' }),
      textField({ label: 'Description', name: 'description', placeholder: 'What it is and where it comes from' }),
      textField({
        label: 'Key columns',
        name: 'key',
        placeholder: 'order_id',
        hint: 'They tell rows apart when versions are compared or upserted. Separate several by commas; it may stay empty.',
      }),
    ],
    send: async (values) => {
      const key = textOf(values, 'key')
        .split(',')
        .map((column) => column.trim())
        .filter((column) => column !== '');
      const { datasetId } = await app.client.dataset.create({
        name: textOf(values, 'name'),
        description: textOf(values, 'description'),
        key: key.length === 0 ? null : key,
      });
      go(linkTo(['datasets', datasetId, 'history']));
    },
  });
}

function table(app: App, datasets: readonly Dataset[], life: AbortSignal): HTMLElement {
  const heads = ['Dataset', 'Rows', 'Size', 'Last change', 'By'];
  return html(
    'table',
    { class: 'list' },
    html(
      'thead',
      {},
      html(
        'tr',
        {},
        heads.map((head, index) => html('th', { scope: 'col', class: index === 1 || index === 2 ? 'number' : undefined }, head)),
      ),
    ),
    html(
      'tbody',
      {},
      datasets.map((dataset) => row(app, dataset, life)),
    ),
  );
}

function row(app: App, dataset: Dataset, life: AbortSignal): HTMLElement {
  const link = linkTo(['datasets', dataset.datasetId]);
  const cells = Array.from({ length: 4 }, (_, index) =>
    html('td', { class: index < 2 ? 'number' : undefined }, index < 2 ? html('span', { class: 'skeleton-line short' }) : null),
  );
  const element = html(
    'tr',
    { class: 'linked', on: { click: (event) => (event.target as Element).closest('a') === null && go(link) } },
    html(
      'td',
      {},
      html('div', { class: 'list-name' }, html('a', { class: 'strong', href: link }, dataset.name), labels(dataset.labels)),
      html('div', { class: 'muted clipped', title: dataset.description }, dataset.description),
    ),
    cells,
  );
  const ask = (): void =>
    void newestOf(app, dataset.datasetId, life).then(
      (newest) => fill(cells, dataset, newest),
      // The list stands without it; opening the dataset says what is wrong.
      () => fill(cells, dataset, undefined),
    );
  whenSeen(element, life, ask);
  return element;
}

interface Newest {
  /** What is on main, or on the only branch there is. */
  readonly main: Version;
  /** What was committed last, to whichever branch. */
  readonly last: Version;
}

async function newestOf(app: App, datasetId: number, signal: AbortSignal): Promise<Newest | undefined> {
  const { items } = await app.client.branch.list({ datasetId, limit: 100 }, { signal });
  const main = items.find(({ name }) => name === 'main') ?? items[0];
  if (main === undefined) return undefined;
  const last = Math.max(...items.map(({ versionId }) => versionId));
  const get = (versionId: number): Promise<Version> => app.client.version.get({ datasetId, versionId }, { signal });
  const [shown, newest] = await Promise.all([get(main.versionId), last === main.versionId ? undefined : get(last)]);
  return { main: shown, last: newest ?? shown };
}

function fill(cells: readonly HTMLElement[], dataset: Dataset, newest: Newest | undefined): void {
  const [rows, size, change, by] = cells;
  if (rows === undefined || size === undefined || change === undefined || by === undefined) return;
  const { main, last } = newest ?? {};
  replace(rows, main === undefined ? html('span', { class: 'muted' }, 'empty') : main.rows === null ? '' : integer(main.rows));
  replace(size, main?.bytes == null ? '' : byteSize(main.bytes));
  const at = last?.createdAt ?? dataset.updatedAt;
  const what = last === undefined ? 'Created' : last.message.split('\n')[0] || `Version ${last.versionId}`;
  replace(
    change,
    html('div', { class: 'clipped', title: what }, what),
    html('time', { class: 'muted', datetime: at, title: dateTime(at) }, ago(at)),
    last !== undefined && last.branch !== 'main' && html('span', { class: 'pointer branch change-place' }, icon('branch'), last.branch),
  );
  replace(by, person(last?.author ?? dataset.createdBy));
}

function labels(names: readonly string[]): Child {
  return (
    names.length > 0 &&
    html(
      'div',
      { class: 'labels', 'aria-label': counted(names.length, 'label') },
      names.map((name) => html('span', { class: 'label' }, name)),
    )
  );
}
