import { collect, type Schedule } from '../app/app.ts';
import type { DatasetContext } from '../dataset/context.ts';
import { openForm } from '../ui/dialog.ts';
import { type Child, html, live } from '../ui/dom.ts';
import { ago, dateTime } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';
import { type MenuEntry, menuButton } from '../ui/menu.ts';
import { Resource, shown, skeleton } from '../ui/resource.ts';
import { Signal } from '../ui/signal.ts';
import { attempt, toast } from '../ui/toast.ts';
import { cronWords } from './cron.ts';
import { runLabel, runsPanel } from './runs-panel.ts';
import { editSchedule } from './schedule-form.ts';

const SCHEDULES_MAX = 1_000;

const PAUSES: Readonly<Record<NonNullable<Schedule['paused']>['reason'], string>> = {
  asked: 'Paused',
  revoked: 'Stopped: the token was revoked',
  claims_expired: 'Stopped: the owner has to resume it',
  permission_lost: 'Stopped: the owner lost access',
};

/** Exports by the clock: when they run next, and what became of their runs. */
export function schedulesPage(context: DatasetContext, life: AbortSignal): HTMLElement {
  const { client } = context.app;
  const { datasetId } = context;
  const schedules = new Resource(life, (signal) => collect(client.items(client.schedule.list, { datasetId, limit: 200 }, { signal }), SCHEDULES_MAX));
  context.changes.watch(life, (count) => count > 0 && void schedules.reload());
  const chosen = new Signal<number | undefined>(undefined);
  schedules.watch(life, (state) => {
    if (state.kind !== 'ready' || state.value.some(({ scheduleId }) => scheduleId === chosen.value)) return;
    chosen.set(state.value[0]?.scheduleId);
  });
  return html(
    'div',
    { class: 'schedules' },
    html(
      'section',
      { 'aria-labelledby': 'schedules-title' },
      html(
        'div',
        { class: 'page-head' },
        html('h1', { id: 'schedules-title' }, 'Scheduled exports'),
        html('div', { class: 'bar-space' }),
        html('button', { type: 'button', class: 'button primary', on: { click: () => editSchedule(context) } }, icon('plus'), 'New schedule'),
      ),
      html('p', { class: 'muted schedules-lead' }, 'A schedule exports what its owner sees at the time of the run. Tags never move; a branch does.'),
      shown(
        life,
        schedules,
        (list, drawn) => (list.length === 0 ? nothing() : table(context, { list, chosen, life: drawn })),
        () => skeleton(4),
      ),
    ),
    live(life, chosen, (scheduleId, drawn) => (scheduleId === undefined ? null : runsPanel(context, scheduleId, drawn))),
  );
}

function nothing(): HTMLElement {
  return html(
    'div',
    { class: 'empty' },
    icon('clock'),
    html('p', { class: 'strong' }, 'Nothing is scheduled yet'),
    html('p', { class: 'muted' }, 'Send a saved view, or all rows, to a directory or a webhook every day, week or month.'),
  );
}

interface Listed {
  readonly list: readonly Schedule[];
  readonly chosen: Signal<number | undefined>;
  readonly life: AbortSignal;
}

function table(context: DatasetContext, listed: Listed): HTMLElement {
  const heads = ['Export', 'When', 'Next run', 'Last run'];
  const rows = listed.list.map((schedule) => row(context, schedule, listed));
  listed.chosen.watch(listed.life, (scheduleId) => {
    for (const [index, { scheduleId: own }] of listed.list.entries()) {
      rows[index]?.classList.toggle('chosen', own === scheduleId);
      rows[index]?.querySelector('.schedule-name')?.setAttribute('aria-pressed', String(own === scheduleId));
    }
  });
  return html(
    'table',
    { class: 'list schedule-list' },
    html(
      'thead',
      {},
      html(
        'tr',
        {},
        heads.map((head) => html('th', { scope: 'col' }, head)),
        html('td', {}),
      ),
    ),
    html('tbody', {}, rows),
  );
}

function row(context: DatasetContext, schedule: Schedule, { chosen }: Listed): HTMLTableRowElement {
  const { name, format, ref, refKind, owner, cron, timeZone, scheduleId } = schedule;
  const choose = (): void => chosen.set(scheduleId);
  return html(
    'tr',
    {},
    html(
      'td',
      {},
      html('button', { type: 'button', class: 'link schedule-name strong', on: { click: choose } }, name),
      html(
        'div',
        { class: 'schedule-facts muted' },
        html('span', { class: 'label' }, format.toUpperCase()),
        html('span', { class: `pointer ${refKind}` }, icon(refKind), ref),
        owner !== context.app.subject && html('span', {}, `by ${owner}`),
      ),
    ),
    html('td', {}, html('div', {}, cronWords(cron)), html('div', { class: 'muted small' }, timeZone)),
    html('td', {}, next(schedule)),
    html('td', {}, last(schedule)),
    html('td', { class: 'row-action' }, actions(context, schedule)),
  );
}

function next({ nextAt, paused }: Schedule): Child {
  if (paused !== null)
    return html('span', { class: paused.reason === 'asked' ? 'label' : 'label warning', title: dateTime(paused.at) }, PAUSES[paused.reason]);
  if (nextAt === null) return html('span', { class: 'muted' }, 'never');
  return html('time', { datetime: nextAt, title: ago(nextAt) }, dateTime(nextAt));
}

function last({ lastRun }: Schedule): Child {
  if (lastRun === null) return html('span', { class: 'muted' }, 'not yet');
  const at = lastRun.finishedAt ?? lastRun.startedAt ?? lastRun.dueAt;
  return [runLabel(lastRun), html('div', { class: 'muted small' }, html('time', { datetime: at, title: dateTime(at) }, ago(at)))];
}

function actions(context: DatasetContext, schedule: Schedule): Child {
  const { client, subject } = context.app;
  const { name, owner, paused, scheduleId } = schedule;
  const at = { datasetId: context.datasetId, scheduleId };
  const isOwn = owner === subject;
  const run = async (): Promise<void> => {
    await client.schedule.run(at);
    toast(`${name} runs now`);
  };
  const pause = async (): Promise<void> => {
    await client.schedule.pause(at);
    toast(`${name} is paused`);
  };
  const resume = async (): Promise<void> => {
    await client.schedule.resume(at);
    toast(`${name} goes on`);
  };
  const entries: (MenuEntry | false)[] = [
    isOwn && { label: 'Edit…', icon: 'edit', run: () => editSchedule(context, schedule) },
    paused === null && { label: 'Pause', icon: 'pause', run: () => attempt(pause()) },
    paused !== null && isOwn && { label: 'Resume', icon: 'restore', run: () => attempt(resume()) },
    { label: 'Delete…', icon: 'trash', danger: true, run: () => remove(context, schedule) },
  ];
  return html(
    'div',
    { class: 'schedule-actions' },
    isOwn && html('button', { type: 'button', class: 'button', 'aria-label': `Run now: ${name}`, on: { click: () => attempt(run()) } }, 'Run now'),
    menuButton({ label: `More for ${name}`, face: icon('more'), entries: entries.filter((entry) => entry !== false) }),
  );
}

function remove(context: DatasetContext, { name, scheduleId }: Schedule): void {
  void openForm({
    title: `Delete ${name}?`,
    submit: 'Delete schedule',
    danger: true,
    intro: 'Its history and the files that it keeps go with it. What was sent to a webhook stays there.',
    fields: [],
    send: async () => {
      await context.app.client.schedule.delete({ datasetId: context.datasetId, scheduleId });
      toast(`${name} was deleted`);
    },
  });
}
