import { CovistaError, type Progress } from '../../index.ts';
import type { App, Committed } from '../app/app.ts';
import { go, linkTo } from '../app/route.ts';
import { listOf } from '../dataset/edit.ts';
import { choiceField, openDialog, textField, textOf } from '../ui/dialog.ts';
import { append, html, replace } from '../ui/dom.ts';
import { byteSize, counted } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';
import { messageOf } from '../ui/resource.ts';
import { toast } from '../ui/toast.ts';
import { progressBar } from './progress-bar.ts';
import { hasLanded, type UnderWay, whileUnderWay } from './under-way.ts';
import { uploadResult } from './upload-result.ts';

export interface UploadOptions {
  readonly app: App;
  readonly files: readonly File[];
  /** Absent: the file becomes a dataset of its own. */
  readonly target?: { readonly datasetId: number; readonly branch: string; readonly branches: readonly string[]; readonly hasKey: boolean };
}

const MODES = [
  { value: 'replace', label: 'Replace all rows' },
  { value: 'append', label: 'Append the rows' },
  { value: 'upsert', label: 'Update or insert by key' },
  { value: 'delete', label: 'Delete by key' },
] as const;

type Mode = (typeof MODES)[number]['value'];

/** Uploads files one after the other, each asking first where it goes; resolves when the last dialog is closed. */
export async function openUpload({ files, ...options }: UploadOptions): Promise<void> {
  const title = options.target === undefined ? 'Upload a new dataset' : 'Upload a new version';
  for (const file of files) await openDialog({ title, content: (close, life) => uploadForm({ ...options, file, close, life }) });
}

/** What the server takes as the name of a dataset; it would say so only when it has the whole file. */
const NAME_CHARS_MAX = 200;

const nameFor = (file: File): string => file.name.replace(/(\.[a-z0-9]{1,7}){1,2}$/i, '').slice(0, NAME_CHARS_MAX);

interface FormContext extends Omit<UploadOptions, 'files'> {
  readonly file: File;
  readonly close: () => void;
  readonly life: AbortSignal;
}

function uploadForm(context: FormContext): HTMLElement {
  const { file, target, close } = context;
  const place = html('div', { class: 'upload' });
  const form = html(
    'form',
    { class: 'form' },
    html(
      'div',
      { class: 'file-card' },
      icon('file'),
      html('div', {}, html('div', { class: 'strong clipped' }, file.name), html('div', { class: 'muted' }, byteSize(file.size))),
    ),
    target === undefined
      ? [
          textField({ label: 'Dataset name', name: 'name', value: nameFor(file), required: true, charsMax: NAME_CHARS_MAX }),
          textField({
            label: 'Key columns',
            name: 'key',
            placeholder: 'order_id',
            hint: 'If rows have one: it tells them apart when versions are compared, and keeps notes on their rows. It can be given later.',
          }),
        ]
      : targetFields(target),
    textField({ label: 'Message', name: 'message', placeholder: 'What is in it, or what changed' }),
    html(
      'div',
      { class: 'form-actions' },
      html('button', { type: 'button', class: 'button', on: { click: close } }, 'Cancel'),
      html('button', { type: 'submit', class: 'button primary', autofocus: true }, icon('upload'), 'Upload'),
    ),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void send(context, new FormData(form), place);
  });
  append(place, [form]);
  return place;
}

function targetFields({ branch, branches, hasKey }: NonNullable<UploadOptions['target']>): HTMLElement[] {
  const list = html(
    'datalist',
    { id: 'upload-branches' },
    branches.map((name) => html('option', { value: name })),
  );
  const branchField = textField({ label: 'Branch', name: 'branch', value: branch, required: true, hint: 'A new name makes a new branch from main.' });
  branchField.querySelector('input')?.setAttribute('list', 'upload-branches');
  const modes = hasKey ? MODES : MODES.slice(0, 2);
  return [branchField, list, choiceField({ label: 'What it does', name: 'mode', choices: modes })];
}

async function send({ app, file, target, close, life }: FormContext, values: FormData, place: HTMLElement): Promise<void> {
  const stopped = new AbortController();
  life.addEventListener('abort', () => stopped.abort(), { once: true });
  const bar = progressBar();
  replace(
    place,
    html(
      'div',
      { class: 'file-card' },
      icon('file'),
      html('div', {}, html('div', { class: 'strong clipped' }, file.name), html('div', { class: 'muted' }, byteSize(file.size))),
    ),
    bar.element,
    html('div', { class: 'form-actions' }, html('button', { type: 'button', class: 'button', on: { click: close } }, 'Stop')),
  );
  try {
    const committed = await commit({ app, file, ...(target === undefined ? {} : { target }) }, values, {
      signal: stopped.signal,
      onProgress: (progress) => bar.set(wordsOf(progress), progress),
    });
    done(place, committed, close);
  } catch (error) {
    if (!life.aborted)
      replace(
        place,
        refused(error),
        html('div', { class: 'form-actions' }, html('button', { type: 'button', class: 'button', on: { click: close } }, 'Close')),
      );
  }
}

type FileOptions = Parameters<App['client']['upload']['file']>[1];
type Options = Pick<FileOptions, 'signal' | 'onProgress'>;

/** What is stopped, refused or cut short leaves nothing, unless it had landed before that. */
function commit({ app, file, target }: Pick<FormContext, 'app' | 'file' | 'target'>, values: FormData, options: Options): Promise<Committed> {
  const underWay: UnderWay = { subject: app.subject, fileName: file.name };
  const onUpload = (uploadId: string): void => {
    underWay.uploadId = uploadId;
  };
  return whileUnderWay(underWay, async () => {
    try {
      const where = target === undefined ? newDatasetOf(values) : destinationOf(target, values);
      return await app.client.upload.file(file, { ...where, message: textOf(values, 'message'), onUpload, ...options });
    } catch (error) {
      // One that cannot be taken back expires by itself.
      const landed = await hasLanded(app.client, underWay).catch(() => false);
      if (landed && options.signal?.aborted === true) toast(`${file.name} had arrived before you stopped it`);
      throw error;
    }
  });
}

const destinationOf = ({ datasetId }: NonNullable<UploadOptions['target']>, values: FormData) => ({
  datasetId,
  branch: textOf(values, 'branch'),
  mode: textOf(values, 'mode') as Mode,
});

function newDatasetOf(values: FormData) {
  const key = listOf(textOf(values, 'key'));
  return { name: textOf(values, 'name'), key: key.length === 0 ? null : key };
}

function done(place: HTMLElement, committed: Committed, close: () => void): void {
  const open = (): void => {
    close();
    go(linkTo(['datasets', committed.datasetId]));
  };
  const button = html('button', { type: 'button', class: 'button primary', on: { click: open } }, 'Open');
  replace(
    place,
    uploadResult(committed),
    html('div', { class: 'form-actions' }, html('button', { type: 'button', class: 'button', on: { click: close } }, 'Close'), button),
  );
  button.focus();
}

const PHASES: Readonly<Record<string, string>> = { upload: 'Uploading', convert: 'Reading the file', hash: 'Checking', commit: 'Making the version' };

function wordsOf({ phase, done, total, unit }: Progress): string {
  const words = PHASES[phase] ?? phase.charAt(0).toUpperCase() + phase.slice(1);
  if (unit === 'bytes') return `${words}: ${byteSize(done)}${total === null ? '' : ` of ${byteSize(total)}`}`;
  return unit === 'rows' ? `${words}: ${counted(done, 'row')}` : words;
}

function refused(error: unknown): HTMLElement {
  const isConflict = error instanceof CovistaError && error.code === 'conflict';
  const advice = isConflict
    ? 'Somebody else was faster, or the branch does not allow it. Look at the history and try again.'
    : 'Nothing was changed.';
  return html(
    'div',
    { class: 'notice danger', role: 'alert' },
    icon('warning'),
    html('div', {}, html('p', { class: 'strong' }, messageOf(error)), html('p', {}, advice)),
  );
}
