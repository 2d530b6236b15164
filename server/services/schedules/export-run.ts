import { createHash } from 'node:crypto';
import type { BlockList } from 'node:net';
import { CovistaError } from '../../../protocol/errors.ts';
import type { VersionId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { Clock } from '../../shared/clock.ts';
import { Slots } from '../../shared/slots.ts';
import type { Control } from '../../storage/content-store.ts';
import type { ClaimedRun, ExportFiles, RunResult, RunStore, StagingStore, Stores } from '../../storage/stores.ts';
import type { Access } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import type { VisibleVersions } from '../access/visible-versions.ts';
import type { Tables } from '../tables/tables.ts';
import { CONTENT_TYPES, type ViewExports } from '../tables/view-exports.ts';
import type { Views } from '../tables/views.ts';
import type { VersionReader } from '../versioning/version-reader.ts';
import type { Sealer } from './schedules.ts';
import { deliver, type WebhookSecrets } from './webhook.ts';
import { type ExportedWhat, type FindWhat, scopeKey } from './what.ts';

export interface ExportRunOptions {
  readonly content: Pick<Stores['content'], 'export'>;
  readonly reader: Pick<VersionReader, 'record' | 'scoped'>;
  readonly visible: Pick<VisibleVersions, 'count'>;
  readonly tables: Pick<Tables, 'open' | 'release'>;
  readonly views: Pick<Views, 'create' | 'end'>;
  readonly viewExports: Pick<ViewExports, 'export'>;
  readonly files: ExportFiles;
  readonly staging: Pick<StagingStore, 'stage' | 'discard'>;
  readonly runs: Pick<RunStore, 'filesBytes'>;
  readonly findWhat: FindWhat;
  readonly sealer: Sealer;
  /** Private networks that webhooks may reach. */
  readonly allowed: BlockList;
  /** What tells this installation from others. */
  readonly deploymentId: string;
  readonly limits: Limits;
  readonly clock: Clock;
}

/** Who a run is of, and what they may see now. */
export interface RunAs {
  readonly actor: Actor;
  readonly access: Access;
  readonly signal: AbortSignal;
  /** Told when the file begins to be made; a run waits for those before it. */
  onTurn(): void;
  /** Told as soon as it is known, for the history of a run that fails. */
  onWhat(what: ExportedWhat): void;
}

interface Rows {
  readonly rows: number;
  readonly bytes: AsyncIterable<Uint8Array>;
  close(): void | Promise<void>;
}

/** It is sent as it is read back, whether or not it would outlast the machine. */
async function stage({ staging, limits }: ExportRunOptions, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<StagedExport> {
  const staged = await staging.stage(bytes, { bytesMax: limits.scheduleFileBytesMax, signal });
  await Promise.allSettled([staged.durable]);
  return staged;
}

type StagedExport = Awaited<ReturnType<StagingStore['stage']>>;

export type ExportRun = (claimed: ClaimedRun, as: RunAs) => Promise<RunResult>;

/**
 * Makes a file of what a schedule shows its owner, on the road of any view export or download, and brings it to where it is to go. Only
 * some files are made at once, fewer than there may be runs, so that who takes long to receive one keeps no place where they are made.
 */
export function createExportRun(options: ExportRunOptions): ExportRun {
  const making = new Slots(options.limits.scheduleFilesAtOnceMax);
  return async (claimed, as) => {
    const { datasetId } = claimed.attempt;
    const { settings } = claimed.schedule;
    const make = <Made>(
      write: (rows: Rows) => Promise<Made>,
    ): Promise<{ readonly made: Made; readonly rows: number; readonly versionId: VersionId }> =>
      making.run(as.signal, async () => {
        as.onTurn();
        const what = await options.findWhat(datasetId, { subject: as.actor.subject, scope: as.access.scope }, settings);
        as.onWhat(what);
        const rows = await open(options, claimed, what, as);
        try {
          return { made: await write(rows), rows: rows.rows, versionId: what.versionId };
        } finally {
          await rows.close();
        }
      });
    const scope = scopeKey(as.access.scope);
    if (settings.destination.kind === 'directory') {
      const { made, ...of } = await make((found) => toDirectory(options, claimed, found));
      return { scope, ...of, ...made };
    }
    const { signal } = as;
    let staged: StagedExport | undefined;
    const stageRows = async ({ bytes }: Rows): Promise<StagedExport> => {
      staged = await stage(options, bytes, signal);
      return staged;
    };
    const { made, ...of } = await make(stageRows).catch(async (fault: unknown) => {
      // What cannot be let go of behind it takes the file along.
      if (staged !== undefined) await options.staging.discard(staged.path);
      throw fault;
    });
    return { scope, ...of, ...(await toWebhook(options, claimed, { staged: made, ...of, signal })) };
  };
}

function open(
  options: ExportRunOptions,
  claimed: ClaimedRun,
  { versionId, config, engine }: ExportedWhat,
  { actor, access, signal }: RunAs,
): Promise<Rows> {
  const { datasetId } = claimed.attempt;
  const { format } = claimed.schedule.settings;
  const control: Control = { signal };
  return config === null ? all() : ofView(config);

  async function all(): Promise<Rows> {
    const source = await options.reader.scoped({ datasetId, versionId, scope: access.scope });
    const file = await options.content.export(source, format, control);
    const rows = await options.visible.count(await options.reader.record(datasetId, versionId), access.scope, control);
    return { rows, bytes: stopping(file.read({ start: 0, end: file.bytes }), signal), close: () => file.close() };
  }

  async function ofView(view: NonNullable<ExportedWhat['config']>): Promise<Rows> {
    const { scope } = access;
    const { tableId } = await options.tables.open(
      { actor, datasetId, ref: String(versionId), scope, options: { columns: null, rowLimit: null, engine } },
      control,
    );
    const at = { tableId, actor, scope };
    const { viewId, rows } = await options.views.create(at, view, control);
    return {
      rows,
      bytes: stopping(bytesOf(options.viewExports.export(at, viewId, format, control)), signal),
      // A view may have ended by itself, as where the table was lost.
      close: async () => {
        try {
          options.views.end(at, viewId);
        } catch (fault) {
          if (!(fault instanceof CovistaError && fault.code === 'not_found')) throw fault;
        }
        await options.tables.release(at, control).catch(() => undefined);
      },
    };
  }
}

async function* bytesOf(items: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const item of items) if (item instanceof Uint8Array) yield item;
}

async function* stopping(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    signal.throwIfAborted();
    yield chunk;
  }
  signal.throwIfAborted();
}

type Brought = Pick<RunResult, 'bytes' | 'sha256' | 'place' | 'file'>;

async function toDirectory(options: ExportRunOptions, claimed: ClaimedRun, { bytes }: Rows): Promise<Brought> {
  const { settings } = claimed.schedule;
  const { scheduleFileBytesMax, scheduleFilesBytesMax } = options.limits;
  const room = scheduleFilesBytesMax - (await options.runs.filesBytes());
  if (room <= 0) throw noRoom(scheduleFilesBytesMax);
  const directory = settings.destination.kind === 'directory' ? settings.destination.directory : '';
  const file = `${claimed.attempt.datasetId}/${directory}/${fileName(claimed)}`;
  const hash = createHash('sha256');
  let length = 0;
  await options.files.write(file, counted());
  return { bytes: length, sha256: hash.digest('hex'), place: `exports/${file}`, file };

  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      length += chunk.length;
      if (length > scheduleFileBytesMax) throw new CovistaError('payload_too_large', `the file has more than ${scheduleFileBytesMax} bytes`);
      if (length > room) throw noRoom(scheduleFilesBytesMax);
      hash.update(chunk);
      yield chunk;
    }
  }
}

function noRoom(scheduleFilesBytesMax: number): CovistaError {
  const message = `the files of all schedules have ${scheduleFilesBytesMax} bytes already; keep fewer, or delete schedules`;
  return new CovistaError('storage_full', message, { scheduleFilesBytesMax });
}

interface ToSend {
  readonly staged: StagedExport;
  readonly rows: number;
  readonly versionId: number;
  readonly signal: AbortSignal;
}

/** The staged file is gone afterwards. */
async function toWebhook(options: ExportRunOptions, claimed: ClaimedRun, { staged, rows, versionId, signal }: ToSend): Promise<Brought> {
  const { attempt, schedule } = claimed;
  const { destination, format } = schedule.settings;
  const { webhookTimeoutMs: timeoutMs, webhookBytesPerSecondMin: bytesPerSecondMin } = options.limits;
  try {
    if (destination.kind !== 'webhook' || schedule.secrets === null) throw new CovistaError('internal', 'the schedule has no webhook');
    const secrets = JSON.parse(options.sealer.open(schedule.secrets)) as WebhookSecrets;
    const { scheduleId, runId, datasetId } = attempt;
    const headers = {
      'content-type': CONTENT_TYPES[format],
      'content-disposition': `attachment; filename="${fileName(claimed)}"`,
      ...numbers({
        'covista-dataset': datasetId,
        'covista-schedule': scheduleId,
        'covista-run': runId,
        'covista-version': versionId,
        'covista-rows': rows,
      }),
    };
    const messageId = `${options.deploymentId}-${runId}`;
    const delivery = { secrets, method: destination.method, path: staged.path, bytes: staged.bytes, messageId, headers, signal };
    await deliver(delivery, { allowed: options.allowed, timeoutMs, bytesPerSecondMin, nowMs: options.clock.now() });
    return { bytes: staged.bytes, sha256: staged.sha256, place: destination.url, file: null };
  } finally {
    await options.staging.discard(staged.path);
  }
}

const numbers = (values: Readonly<Record<string, number>>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));

/** Tells people what it is, and the server whose: the number of the try makes it unlike any other. */
function fileName({ run, schedule, attempt }: ClaimedRun): string {
  const words = schedule.shown.name
    .normalize('NFKD')
    .replaceAll(/[^A-Za-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')
    .slice(0, 60);
  const time = run.dueAt.replaceAll(/[-:]|\.\d+/g, '');
  return `${words === '' ? 'export' : words}-${time}-s${attempt.scheduleId}-r${attempt.runId}-${attempt.attempts}.${schedule.settings.format}`;
}
