import { collect, type Schedule } from '../app/app.ts';
import type { DatasetContext } from '../dataset/context.ts';
import { choiceField, openForm, textField, textOf } from '../ui/dialog.ts';
import { type Child, html, replace, uniqueId } from '../ui/dom.ts';
import { dateTime } from '../ui/format.ts';
import { messageOf } from '../ui/resource.ts';
import { attempt, toast } from '../ui/toast.ts';
import { chosenOf, cronOf, PRESETS } from './cron.ts';

const FORMATS = [
  { value: 'csv', label: 'CSV' },
  { value: 'parquet', label: 'Parquet' },
  { value: 'arrow', label: 'Arrow' },
  { value: 'ndjson', label: 'NDJSON' },
];
const METHODS = [
  { value: 'POST', label: 'POST' },
  { value: 'PUT', label: 'PUT' },
];
const KEEP = { value: 'keep', label: 'Where it goes now' };
const PLACES = [
  { value: 'directory', label: 'A directory of the server' },
  { value: 'webhook', label: 'A webhook' },
];
const POINTERS_MAX = 1_000;
/** While somebody types, the next times are asked for after this. */
const PAUSE_MS = 250;

type Create = Parameters<DatasetContext['app']['client']['schedule']['create']>[0];

type Saved = Awaited<ReturnType<DatasetContext['app']['client']['document']['savedViews']>>;

interface Choices {
  readonly tags: readonly string[];
  readonly branches: readonly string[];
  /** Those that are shared, then those of the person alone. */
  readonly saved: readonly Saved[];
}

/** Asks for everything of a new schedule, or changes one. */
export function editSchedule(context: DatasetContext, schedule?: Schedule): void {
  attempt(choicesOf(context).then((choices) => open(context, choices, schedule)));
}

async function choicesOf({ app: { client }, datasetId }: DatasetContext): Promise<Choices> {
  const [tags, branches, ...saved] = await Promise.all([
    collect(client.items(client.tag.list, { datasetId, limit: 200 }), POINTERS_MAX),
    collect(client.items(client.branch.list, { datasetId, limit: 200 }), POINTERS_MAX),
    client.document.savedViews(datasetId, 'shared'),
    client.document.savedViews(datasetId, 'private'),
  ]);
  const names = (pointers: readonly { readonly name: string }[]): string[] => pointers.map(({ name }) => name);
  return { tags: names(tags), branches: names(branches), saved };
}

async function open(context: DatasetContext, choices: Choices, schedule: Schedule | undefined): Promise<void> {
  const { client } = context.app;
  const { datasetId } = context;
  const when = whenFields(context, schedule);
  const what = choiceField({
    label: 'What',
    name: 'savedView',
    choices: [{ value: '', label: schedule?.config ? 'The view it has' : 'All rows' }],
  });
  const stops = choices.saved.map((saved) => {
    offer(what, saved.list(), schedule?.savedView ?? '');
    return saved.observe((views) => offer(what, views, schedule?.savedView ?? ''));
  });
  await openForm({
    title: schedule === undefined ? 'New schedule' : `Edit ${schedule.name}`,
    submit: schedule === undefined ? 'Schedule' : 'Save',
    fields: [
      textField({ label: 'Name', name: 'name', required: true, value: schedule?.name, placeholder: 'Weekly sales' }),
      html(
        'div',
        { class: 'form-row three' },
        refField(choices, schedule),
        what,
        choiceField({ label: 'Format', name: 'format', choices: FORMATS, value: schedule?.format ?? 'csv' }),
      ),
      when,
      placeFields(schedule),
    ],
    send: async (values) => {
      const common = wanted(values, schedule);
      if (schedule === undefined) await client.schedule.create({ ...common, datasetId } as Create);
      else await client.schedule.update({ ...common, datasetId, scheduleId: schedule.scheduleId });
      toast(schedule === undefined ? `${common.name} is scheduled` : `${common.name} was changed`);
    },
  });
  for (const stop of stops) stop();
  for (const saved of choices.saved) saved.close();
}

/** Saved views come and go while the form is open. */
function offer(field: HTMLElement, views: ReturnType<Saved['list']>, chosen: string): void {
  const select = field.querySelector('select');
  for (const { id, name, scope } of views) {
    if ([...(select?.options ?? [])].some(({ value }) => value === id)) continue;
    select?.append(html('option', { value: id, selected: id === chosen }, scope === 'private' ? `${name} (private)` : name));
  }
}

function wanted(values: FormData, schedule: Schedule | undefined) {
  const [refKind = 'tag', ...rest] = textOf(values, 'ref').split(':');
  const savedView = textOf(values, 'savedView');
  const destination = destinationOf(values);
  return {
    name: textOf(values, 'name'),
    ref: rest.join(':'),
    refKind: refKind as Schedule['refKind'],
    ...(savedView === '' && schedule?.config ? {} : { savedView: savedView === '' ? null : savedView }),
    cron: cronOf({ preset: textOf(values, 'preset'), time: textOf(values, 'time') }, textOf(values, 'cron')),
    timeZone: textOf(values, 'timeZone'),
    format: textOf(values, 'format') as Schedule['format'],
    ...(destination === undefined ? {} : { destination }),
  };
}

function destinationOf(values: FormData): Create['destination'] | undefined {
  const kind = textOf(values, 'place');
  if (kind === 'keep') return undefined;
  if (kind === 'directory') return { kind: 'directory', directory: textOf(values, 'directory') };
  const authorization = textOf(values, 'authorization');
  return {
    kind: 'webhook',
    url: textOf(values, 'url'),
    method: textOf(values, 'method') as 'POST' | 'PUT',
    secret: textOf(values, 'secret'),
    ...(authorization === '' ? {} : { authorization }),
  };
}

/** Tags come first, because they never move. */
function refField({ tags, branches }: Choices, schedule: Schedule | undefined): HTMLElement {
  const id = uniqueId('field');
  const current = schedule && `${schedule.refKind}:${schedule.ref}`;
  const group = (label: string, kind: string, names: readonly string[]): Child =>
    names.length > 0 &&
    html(
      'optgroup',
      { label },
      names.map((name) => html('option', { value: `${kind}:${name}`, selected: current === `${kind}:${name}` }, name)),
    );
  return html(
    'div',
    { class: 'field' },
    html('label', { for: id }, 'Of'),
    html(
      'select',
      { id, name: 'ref', class: 'input', required: true },
      group('Tags', 'tag', tags),
      group('Branches, as they are then', 'branch', branches),
    ),
  );
}

/** When it runs, with the times that this comes to. */
function whenFields({ app: { client }, datasetId }: DatasetContext, schedule: Schedule | undefined): HTMLElement {
  const chosen = chosenOf(schedule?.cron ?? '0 6 * * 1');
  const zones = [...new Set([schedule?.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone, 'UTC', ...Intl.supportedValuesOf('timeZone')])];
  const next = html('p', { class: 'hint next-times', role: 'status' });
  const time = textField({ label: 'At', name: 'time', type: 'time', value: chosen.time, required: true });
  const custom = textField({
    label: 'Cron expression',
    name: 'cron',
    value: schedule?.cron ?? '0 6 * * 1',
    hint: 'Minute, hour, day of month, month, day of week.',
  });
  const element = html(
    'fieldset',
    { class: 'narrow' },
    html('legend', {}, 'When'),
    html(
      'div',
      { class: 'form-row three' },
      choiceField({ label: 'Runs', name: 'preset', choices: PRESETS, value: chosen.preset }),
      time,
      choiceField({ label: 'Time zone', name: 'timeZone', choices: zones.map((zone) => ({ value: zone, label: zone })) }),
    ),
    custom,
    next,
  );
  let timer: ReturnType<typeof setTimeout> | undefined;
  const given = (name: string): string => element.querySelector<HTMLInputElement>(`[name=${name}]`)?.value ?? '';
  const tell = async (): Promise<void> => {
    const cron = cronOf({ preset: given('preset'), time: given('time') }, given('cron'));
    try {
      const { times } = await client.schedule.times({ datasetId, cron, timeZone: given('timeZone') });
      replace(next, times.length === 0 ? 'That time never comes.' : `Next: ${times.slice(0, 3).map(dateTime).join(' · ')}, by your clock`);
    } catch (error) {
      replace(next, messageOf(error));
    }
  };
  const change = (): void => {
    const preset = given('preset');
    time.hidden = preset === 'hourly' || preset === 'custom';
    custom.hidden = preset !== 'custom';
    clearTimeout(timer);
    timer = setTimeout(() => void tell(), PAUSE_MS);
  };
  element.addEventListener('input', change);
  change();
  return element;
}

/** Where it goes; the secrets of a webhook are given anew with every change, because nobody is shown them again. */
function placeFields(schedule: Schedule | undefined): HTMLElement {
  const directory = textField({ label: 'Directory', name: 'directory', value: 'reports', hint: 'Below the directory for exports of this dataset.' });
  const webhook = html(
    'div',
    { class: 'webhook' },
    html(
      'div',
      { class: 'form-row' },
      textField({ label: 'URL', name: 'url', type: 'url', placeholder: 'https://example.org/hooks/sales' }),
      choiceField({ label: 'By', name: 'method', choices: METHODS }),
    ),
    textField({
      label: 'Secret of the signature',
      name: 'secret',
      value: newSecret(),
      hint: 'Give it to the receiver now: it is never shown again.',
    }),
    textField({ label: 'Authorization', name: 'authorization', placeholder: 'Bearer …', hint: 'A header that the receiver asks for, if it does.' }),
  );
  const places = schedule === undefined ? PLACES : [KEEP, ...PLACES];
  const element = html(
    'fieldset',
    { class: 'narrow' },
    html('legend', {}, 'Where to'),
    choiceField({ label: 'To', name: 'place', choices: places }),
    directory,
    webhook,
  );
  const change = (): void => {
    const kind = element.querySelector<HTMLSelectElement>('[name=place]')?.value;
    directory.hidden = kind !== 'directory';
    webhook.hidden = kind !== 'webhook';
    for (const [place, isShown] of [
      [directory, !directory.hidden],
      [webhook, !webhook.hidden],
    ] as const)
      for (const input of place.querySelectorAll<HTMLInputElement>('[name=directory], [name=url], [name=secret]')) input.required = isShown;
  };
  element.addEventListener('input', change);
  change();
  return element;
}

/** As Standard Webhooks has them. */
function newSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return `whsec_${btoa(String.fromCharCode(...bytes))}`;
}
