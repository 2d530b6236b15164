import { CovistaError } from '../../index.ts';
import { collect, type Schedule, type ScheduleRun } from '../app/app.ts';
import type { DatasetContext } from '../dataset/context.ts';
import { saveBytes } from '../dataset/save-file.ts';
import { openDialog } from '../ui/dialog.ts';
import { type Child, html, replace } from '../ui/dom.ts';
import { ago, byteSize, counted, dateTime } from '../ui/format.ts';
import { icon } from '../ui/icons.ts';
import { failure, messageOf, Resource, shown } from '../ui/resource.ts';
import { progressBar } from '../upload/progress-bar.ts';

const RUNS_MAX = 200;

const STATES: Readonly<Record<ScheduleRun['state'], string>> = {
  waiting: 'Waiting',
  running: 'Running',
  succeeded: 'Exported',
  failed: 'Failed',
  skipped: 'Skipped',
};

export const runLabel = ({ state }: Pick<ScheduleRun, 'state'>): HTMLElement => html('span', { class: `run-state ${state}` }, STATES[state]);

interface History {
  readonly schedule: Schedule;
  readonly runs: readonly ScheduleRun[];
}

/** What became of the runs of a schedule, newest first. */
export function runsPanel(context: DatasetContext, scheduleId: number, life: AbortSignal): HTMLElement {
  const { client } = context.app;
  const at = { datasetId: context.datasetId, scheduleId };
  const history = new Resource<History>(life, async (signal) => ({
    schedule: await client.schedule.get(at, { signal }),
    runs: await collect(client.items(client.schedule.runs, { ...at, limit: 50 }, { signal }), RUNS_MAX),
  }));
  context.changes.watch(life, (count) => count > 0 && void history.reload());
  return html(
    'aside',
    { class: 'about', 'aria-label': 'Runs' },
    shown(life, history, ({ schedule, runs }) => [
      html('h2', { class: 'about-name' }, schedule.name),
      html('p', { class: 'muted place' }, placeOf(schedule)),
      html('div', { class: 'about-head' }, html('h3', {}, 'Runs')),
      runs.length === 0
        ? html('p', { class: 'muted' }, 'It has not run yet.')
        : html(
            'ol',
            { class: 'runs' },
            runs.map((run) => entry(context, run)),
          ),
    ]),
  );
}

function placeOf({ destination, savedView, config }: Schedule): string {
  const what = savedView !== null ? 'A saved view' : config !== null ? 'A view' : 'All rows';
  if (destination.kind === 'webhook') return `${what}, by ${destination.method} to ${destination.url}`;
  return `${what}, into the directory ${destination.directory}`;
}

function entry(context: DatasetContext, run: ScheduleRun): HTMLElement {
  const { dueAt, error, retryAt, attempts, downloadable } = run;
  return html(
    'li',
    { class: 'run' },
    html(
      'div',
      { class: 'run-head' },
      runLabel(run),
      html('time', { class: 'muted', datetime: dueAt, title: dateTime(dueAt) }, ago(dueAt)),
      html('div', { class: 'bar-space' }),
      downloadable &&
        html(
          'button',
          {
            type: 'button',
            class: 'button quiet square',
            'aria-label': `Download the file of the run of ${dateTime(dueAt)}`,
            title: 'Download',
            on: { click: () => openFile(context, run) },
          },
          icon('download'),
        ),
    ),
    html('div', { class: 'run-facts muted' }, facts(run).join(' · ')),
    error !== null && html('p', { class: run.state === 'failed' ? 'run-error' : 'run-error muted' }, messageOf(error.message)),
    retryAt !== null && attempts > 0 && html('p', { class: 'muted small' }, `Try ${attempts + 1} at ${dateTime(retryAt)}`),
  );
}

function facts({ cause, rows, bytes, startedAt, finishedAt, versionId, attempts }: ScheduleRun): string[] {
  const seconds = startedAt === null || finishedAt === null ? null : (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
  const told: Child[] = [
    cause === 'asked' && 'run by hand',
    versionId !== null && `v${versionId}`,
    rows !== null && counted(rows, 'row'),
    bytes !== null && byteSize(bytes),
    seconds !== null && `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`,
    attempts > 1 && counted(attempts, 'try', 'tries'),
  ];
  return told.filter((fact) => typeof fact === 'string');
}

/** Brings the file of a run, showing how far it is. */
function openFile({ app, datasetId }: DatasetContext, { scheduleId, runId }: ScheduleRun): void {
  void openDialog({
    title: 'Download',
    content: (close, life) => {
      const bar = progressBar();
      const place = html('div', {}, bar.element);
      const bring = async (): Promise<void> => {
        const items = app.client.schedule.download({ datasetId, scheduleId, runId }, { signal: life })[Symbol.asyncIterator]();
        const first = await items.next();
        if (first.done === true || first.value instanceof Uint8Array) throw new CovistaError('protocol_error', 'a download began without its head');
        await saveBytes(first.value, bytesOf(items), bar);
      };
      bring().then(close, (error: unknown) => life.aborted || replace(place, failure(error)));
      return place;
    },
  });
}

async function* bytesOf(items: AsyncIterator<unknown>): AsyncGenerator<Uint8Array> {
  for (let next = await items.next(); next.done !== true; next = await items.next()) if (next.value instanceof Uint8Array) yield next.value;
}
