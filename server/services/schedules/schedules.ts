import type { BlockList } from 'node:net';
import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, RunId, ScheduleId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { Schedule, ScheduleDestination, ScheduleRun, ShownDestination } from '../../../protocol/operations/schedule.ts';
import type { Clock } from '../../shared/clock.ts';
import { mayReach } from '../../shared/outgoing.ts';
import { isUnrestricted } from '../../storage/content-store.ts';
import type {
  ExportFiles,
  Page,
  Provenance,
  RunRecord,
  ScheduleClaims,
  ScheduleRecord,
  ScheduleSettings,
  ScheduleStore,
} from '../../storage/stores.ts';
import type { Access } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { CONTENT_TYPES } from '../tables/view-exports.ts';
import type { DownloadHead } from '../versioning/downloads.ts';
import { timeAfter } from './cron.ts';
import type { WebhookSecrets } from './webhook.ts';
import { type FindWhat, scopeKey, type WhatOwner } from './what.ts';

/** Keeps texts that nobody is shown, in the database and its copies. */
export interface Sealer {
  seal(text: string): string;
  /** Throws `unprocessable_data` for what was sealed under another key. */
  open(sealed: string): string;
}

export interface ScheduleCaller {
  readonly actor: Actor;
  readonly access: Access;
  readonly provenance: Provenance;
}

type Wanted = Omit<ScheduleSettings, 'destination'> & { readonly name: string; readonly destination: ScheduleDestination };
export type ScheduleUpdate = { readonly [Field in keyof Wanted]?: Wanted[Field] | undefined };

export interface SchedulesOptions {
  readonly store: ScheduleStore;
  readonly files: ExportFiles;
  readonly findWhat: FindWhat;
  readonly sealer: Sealer;
  /** Private networks that webhooks may reach. */
  readonly allowed: BlockList;
  readonly limits: Pick<Limits, 'scheduleClaimsKeepMs'>;
  readonly clock: Clock;
}

/** Schedules are their owners': only they change and run them. Admins of the dataset see them, let them rest and delete them. */
export class Schedules {
  readonly #options: SchedulesOptions;

  constructor(options: SchedulesOptions) {
    this.#options = options;
  }

  async create(datasetId: DatasetId, { name, destination, ...wanted }: Wanted, caller: ScheduleCaller): Promise<Schedule> {
    const settings = { ...wanted, destination: shown(destination) };
    const claims = claimsOf(caller);
    await this.#options.findWhat(datasetId, ownerOf(caller), settings);
    const secrets = this.#sealed(destination);
    return this.#options.store.create(datasetId, { name, settings, claims, secrets, nextAt: this.#nextOf(settings) }, caller.provenance);
  }

  async list(datasetId: DatasetId, page: Page & { readonly after?: ScheduleId | undefined }, { actor, access }: ScheduleCaller): Promise<Schedule[]> {
    const records = await this.#options.store.list(datasetId, access.permission === 'admin' ? null : actor.subject, page);
    return records.map((record) => record.shown);
  }

  async get(datasetId: DatasetId, scheduleId: ScheduleId, caller: ScheduleCaller): Promise<Schedule> {
    return (await this.#find(datasetId, scheduleId, caller)).shown;
  }

  async update(
    datasetId: DatasetId,
    scheduleId: ScheduleId,
    { name, destination, ...change }: ScheduleUpdate,
    caller: ScheduleCaller,
  ): Promise<Schedule> {
    const { shown: schedule, settings: before } = await this.#own(datasetId, scheduleId, caller);
    const settings: ScheduleSettings = {
      ...before,
      ...withoutAbsent(change),
      ...(change.config ? { savedView: null } : {}),
      ...(change.savedView ? { config: null } : {}),
      ...(destination === undefined ? {} : { destination: shown(destination) }),
    };
    const claims = claimsOf(caller);
    await this.#options.findWhat(datasetId, ownerOf(caller), settings);
    const secrets = destination === undefined ? {} : { secrets: this.#sealed(destination) };
    const nextAt = change.cron === undefined && change.timeZone === undefined ? schedule.nextAt : this.#nextOf(settings);
    return this.#options.store.change(schedule, { ...(name === undefined ? {} : { name }), settings, ...secrets, claims, nextAt }, caller.provenance);
  }

  async pause(datasetId: DatasetId, scheduleId: ScheduleId, caller: ScheduleCaller): Promise<Schedule> {
    return this.#options.store.pause((await this.#find(datasetId, scheduleId, caller)).shown, caller.provenance);
  }

  async resume(datasetId: DatasetId, scheduleId: ScheduleId, caller: ScheduleCaller): Promise<Schedule> {
    const { shown: schedule, settings } = await this.#own(datasetId, scheduleId, caller);
    return this.#options.store.resume(schedule, { claims: claimsOf(caller), nextAt: this.#nextOf(settings) }, caller.provenance);
  }

  async run(datasetId: DatasetId, scheduleId: ScheduleId, caller: ScheduleCaller): Promise<ScheduleRun> {
    const { shown: schedule } = await this.#own(datasetId, scheduleId, caller);
    return this.#options.store.ask(schedule, claimsOf(caller), caller.provenance);
  }

  async runs(
    datasetId: DatasetId,
    scheduleId: ScheduleId,
    page: Page & { readonly before?: RunId | undefined },
    caller: ScheduleCaller,
  ): Promise<ScheduleRun[]> {
    await this.#find(datasetId, scheduleId, caller);
    return (await this.#options.store.runs(scheduleId, page)).map((record) => record.shown);
  }

  async delete(datasetId: DatasetId, scheduleId: ScheduleId, caller: ScheduleCaller): Promise<void> {
    const files = await this.#options.store.delete((await this.#find(datasetId, scheduleId, caller)).shown, caller.provenance);
    await this.#options.files.remove(files);
  }

  async *download(datasetId: DatasetId, scheduleId: ScheduleId, runId: RunId, caller: ScheduleCaller): AsyncGenerator<DownloadHead | Uint8Array> {
    const { settings } = await this.#find(datasetId, scheduleId, caller);
    const run = await this.#options.store.run(scheduleId, runId);
    if (run === undefined) throw new CovistaError('not_found', `the schedule has no run ${runId}`, { scheduleId, runId });
    assertMayRead(run, caller.access);
    const {
      file,
      shown: { bytes, sha256, finishedAt },
    } = run;
    if (file === null || !(await this.#options.files.has(file)))
      throw new CovistaError('not_found', 'the file of this run is not kept any more', { scheduleId, runId });
    yield {
      contentType: CONTENT_TYPES[settings.format],
      fileName: file.slice(file.lastIndexOf('/') + 1),
      bytes,
      totalBytes: bytes,
      rangeStart: null,
      etag: `"${sha256}"`,
      encoding: 'identity',
      lastModified: finishedAt ?? new Date(0).toISOString(),
    };
    yield* this.#options.files.read(file);
  }

  /** `not_found` to who neither owns it nor is an admin. */
  async #find(datasetId: DatasetId, scheduleId: ScheduleId, { actor, access }: ScheduleCaller): Promise<ScheduleRecord> {
    const found = await this.#options.store.get(datasetId, scheduleId);
    if (found !== undefined && (found.shown.owner === actor.subject || access.permission === 'admin')) return found;
    throw new CovistaError('not_found', 'there is no such schedule of yours', { datasetId, scheduleId });
  }

  async #own(datasetId: DatasetId, scheduleId: ScheduleId, caller: ScheduleCaller): Promise<ScheduleRecord> {
    const found = await this.#find(datasetId, scheduleId, caller);
    if (found.shown.owner === caller.actor.subject) return found;
    throw new CovistaError('forbidden', 'a schedule runs as its owner, so only they can change or run it', { scheduleId, owner: found.shown.owner });
  }

  #nextOf(settings: ScheduleSettings): string {
    const nextAt = timeAfter(settings, this.#options.clock.now());
    if (nextAt === null) throw new CovistaError('invalid_input', `the time of ${JSON.stringify(settings.cron)} never comes`, { field: 'cron' });
    return nextAt;
  }

  #sealed(destination: ScheduleDestination): string | null {
    if (destination.kind !== 'webhook') return null;
    const { url, secret, authorization = null } = destination;
    const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
    if (/^[\d.]+$|:/.test(host) && !mayReach(host, this.#options.allowed)) {
      const message = `${host} is a private address, which the server does not send to; its operator can allow it`;
      throw new CovistaError('invalid_input', message, { field: 'destination.url' });
    }
    return this.#options.sealer.seal(JSON.stringify({ url, secret, authorization } satisfies WebhookSecrets));
  }
}

function shown(destination: ScheduleDestination): ShownDestination {
  if (destination.kind === 'directory') return destination;
  const { url, method, authorization } = destination;
  const { origin, pathname } = new URL(url);
  return { kind: 'webhook', url: `${origin}${pathname}`, method, hasAuthorization: authorization !== undefined };
}

const ownerOf = ({ actor, access }: ScheduleCaller): WhatOwner => ({ subject: actor.subject, scope: access.scope });

/** A schedule goes by the grants of its owner alone: being an admin of the server ends with the token. */
function claimsOf({ actor, access }: ScheduleCaller): ScheduleClaims {
  if (access.grantIds.length === 0) {
    const message = 'a schedule goes by the grants of its owner, and you have none on this dataset';
    throw new CovistaError('forbidden', message, { datasetId: access.datasetId });
  }
  const { covista_admin: _, ...claims } = actor.claims;
  return { groups: actor.groups, claims };
}

/** A file shows what its owner could see when it was made; who sees less or something else by now does not get it. */
function assertMayRead({ scope }: RunRecord, access: Access): void {
  if (access.permission === 'admin' || isUnrestricted(access.scope) || scopeKey(access.scope) === scope) return;
  throw new CovistaError('forbidden', 'the file was made of what you may not see any more', { datasetId: access.datasetId });
}

function withoutAbsent<Fields extends object>(fields: Fields): { [Field in keyof Fields]?: Exclude<Fields[Field], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
