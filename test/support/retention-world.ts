import { createHash, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultLimits } from '../../protocol/limits.ts';
import { type Disposal, openDisposal } from '../../server/services/retention/disposal.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { createLog } from '../../server/shared/log.ts';
import { createHeldObjects } from '../../server/storage/files/held-objects.ts';
import { createLocalObjects } from '../../server/storage/files/local-objects.ts';
import { openMetadataStore } from '../../server/storage/postgres/open.ts';
import type { HeldObjectStore, MetadataStore, ObjectStore, StagedFile } from '../../server/storage/stores.ts';
import { COLUMNS, commit, schemaHash } from './metadata.ts';
import { type Random, seededRandom } from './random.ts';
import { anyDataset, anyVersion, type Changes, changesOf } from './retention-changes.ts';
import { RetentionPlace } from './retention-place.ts';

/** What a machine does that loses power. */
class Crash extends Error {
  override readonly name = 'Crash';
}

/** Whatever is tried after the power is gone fails too. */
const isCrash = (error: unknown): boolean => error instanceof Crash || (error instanceof AggregateError && error.errors.every(isCrash));

/** A server: what it knows in memory, and who reads by it. */
interface Server {
  readonly objects: HeldObjectStore;
  readonly disposal: Disposal;
  readonly readings: { readonly keys: readonly string[]; readonly release: () => void }[];
}

interface Backup {
  readonly readerId: string;
  readonly keys: readonly string[];
}

/** No server says by itself that it is there, however long the test takes: what happens is for the dice alone. */
const A_DAY_MS = 86_400_000;
const LIMITS = { ...defaultLimits, retentionStepVersionsMax: 3, objectsDeletedMax: 4, condemnedObjectsMax: 40, fileReaderLeaseMs: A_DAY_MS };
const WEEK = `interval '8 days'`;
const NOW = new AbortController().signal;
const DEEDS = [
  ...['commit', 'commit', 'commit', 'share', 'share', 'tag', 'branch', 'reset', 'dropBranch', 'retain', 'retain', 'bringBack', 'create', 'delete'],
  ...[
    'undelete',
    'read',
    'read',
    'finishReading',
    'backUp',
    'finishBackup',
    'timePasses',
    'timePasses',
    'dispose',
    'dispose',
    'dispose',
    'sweep',
    'crash',
  ],
] as const;
type Deed = (typeof DEEDS)[number];

/**
 * Two servers on one database and one directory, that commit, read, remove, bring back, delete and crash as a seed says. Files hold
 * their own hash in the metadata, so that everything can be compared with what it should be at any time.
 */
export class RetentionWorld {
  readonly #place: RetentionPlace;
  readonly #store: MetadataStore;
  readonly #random: Random;
  readonly #changes: Changes;
  readonly #servers: Server[] = [];
  readonly #backups: Backup[] = [];
  readonly #done: string[] = [];
  readonly #seen = new Set<string>();
  /** How many more calls of the stores succeed before the power fails; null: it does not. */
  #callsLeft: number | null = null;

  private constructor(place: RetentionPlace, store: MetadataStore, random: Random) {
    this.#place = place;
    this.#store = store;
    this.#random = random;
    this.#changes = changesOf({ place, store, random });
  }

  static async open(seed: number): Promise<RetentionWorld> {
    const place = await RetentionPlace.make();
    const store = await openMetadataStore({ url: place.url, limits: defaultLimits, log: createLog('error', false) });
    const world = new RetentionWorld(place, store, seededRandom(seed));
    for (const _ of [1, 2]) world.#servers.push(await world.#start());
    await world.#changes.create();
    return world;
  }

  async close(): Promise<void> {
    for (const { disposal } of this.#servers) await disposal.close();
    await this.#store.close();
    await this.#place.remove();
  }

  async step(): Promise<void> {
    const deed = this.#random.pick(DEEDS as unknown as [Deed, ...Deed[]]);
    // Now and then the power fails in the middle of something.
    if (this.#random.below(8) === 0) this.#callsLeft = this.#random.below(6);
    const server = this.#random.below(this.#servers.length);
    this.#done.push(`${deed}@${server}${this.#callsLeft === null ? '' : `!${this.#callsLeft}`}`);
    try {
      const happened = await this.#do(deed, this.#servers[server] as Server);
      if (happened) this.#seen.add(deed);
    } catch (error) {
      if (!isCrash(error)) throw error;
      this.#seen.add(`crash in ${deed}`);
      this.#callsLeft = null;
      await this.#restart(server);
    } finally {
      this.#callsLeft = null;
    }
  }

  history(): string {
    return this.#done.slice(-60).join(' ');
  }

  missing(): string[] {
    return ['crash in dispose', ...new Set(DEEDS)].filter((deed) => !this.#seen.has(deed));
  }

  /** What some version, reader or backup needs and that is not what it was. */
  losses(): Promise<string[]> {
    const readings = [...this.#servers.flatMap((server) => server.readings), ...this.#backups];
    return this.#place.losses(readings.flatMap(({ keys }) => keys));
  }

  orphans(): Promise<string[]> {
    return this.#place.orphans();
  }

  /** Lets go of everything, gives it time, and runs all rounds. */
  async settle(): Promise<void> {
    for (const { readings } of this.#servers) for (const { release } of readings.splice(0)) release();
    for (const { readerId } of this.#backups.splice(0)) await this.#store.disposal.leave(readerId);
    await this.#place.query(`UPDATE file_readers SET expires_at = now()`);
    await this.#do('timePasses', this.#servers[0] as Server);
    for (let rounds = 0; rounds < 500 && (await this.#isAnythingDue()); rounds += 1)
      for (const { disposal } of this.#servers) await disposal.run(NOW);
    await this.#sweep();
  }

  /** Datasets whose reported use is not what lies on the disk. */
  async storageMistakes(): Promise<string[]> {
    const wrong: string[] = [];
    for (const datasetId of await this.#place.datasets('true')) {
      const { bytes, condemnedBytes } = await this.#store.retention.storage(datasetId);
      const onDisk = await this.#place.bytesOnDisk(datasetId);
      if (bytes + condemnedBytes !== onDisk) wrong.push(`dataset ${datasetId}: ${bytes} and ${condemnedBytes} told, ${onDisk} on disk`);
    }
    return wrong;
  }

  async #do(deed: Deed, server: Server): Promise<boolean> {
    const deeds: Readonly<Record<Deed, () => Promise<boolean>>> = {
      commit: () => this.#commit(server, false),
      share: () => this.#commit(server, true),
      ...this.#changes,
      read: () => this.#read(server),
      finishReading: async () => this.#finish(server.readings, ({ release }) => release()),
      backUp: () => this.#backUp(),
      finishBackup: () => this.#finish(this.#backups, ({ readerId }) => this.#store.disposal.leave(readerId)),
      timePasses: () => this.#timePasses(),
      dispose: () => server.disposal.run(NOW).then(() => true),
      sweep: () => this.#sweep().then(() => true),
      crash: () => this.#restart(this.#servers.indexOf(server)).then(() => true),
    };
    return deeds[deed]();
  }

  async #isAnythingDue(): Promise<boolean> {
    const [found] = await this.#place.query<{ due: boolean }>(
      `SELECT EXISTS (SELECT FROM condemned_objects) OR EXISTS (SELECT FROM datasets WHERE deleted_at IS NOT NULL)
         OR EXISTS (SELECT FROM versions WHERE removed_at IS NOT NULL AND released_at IS NULL) AS due`,
    );
    return found?.due === true;
  }

  /** New files, or those of another version again. */
  async #commit({ objects }: Server, isShared: boolean): Promise<boolean> {
    const datasetId = await anyDataset(this.#place, this.#random);
    const source = isShared ? await anyVersion(this.#place, this.#random, datasetId) : undefined;
    const manifest = datasetId && source && (await this.#store.versions.manifest(datasetId, source));
    if (datasetId === undefined || (isShared && !manifest)) return false;
    // What is committed again may be removed, and its files gone, before it lands.
    if (isShared && this.#random.below(3) === 0) await this.#changes.retain();
    const files = isShared ? [] : await Promise.all(Array.from({ length: 1 + this.#random.below(2) }, () => this.#stage()));
    const pieces = [...(manifest?.files.map(({ fileId }) => fileId) ?? []), ...files];
    const staged = await this.#stage();
    const described = { fileName: null, format: 'csv', compression: 'none', bytes: staged.bytes, sha256: staged.sha256 } as const;
    const again = manifest?.originalKey && manifest.version.original ? { ...manifest.version.original, objectKey: manifest.originalKey } : null;
    const pending = commit({
      branch: this.#random.pick(['main', 'main', 'side', 'other']),
      content: { kind: 'whole', pieces, rows: 1, bytes: 1 },
      original: isShared ? again : { ...described, path: staged.path },
      schema: COLUMNS,
    });
    const [landing] = await this.#store.versions.land(datasetId, [pending], (publications) => this.#guard(() => objects.publish(publications)));
    return landing?.outcome === 'landed';
  }

  async #stage(): Promise<StagedFile> {
    const content = Buffer.from(`${randomUUID()} `.repeat(1 + this.#random.below(20)));
    const path = join(this.#place.directory, 'staging', randomUUID());
    await writeFile(path, content);
    return { path, rows: 1, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex'), schemaHash: schemaHash() };
  }

  /** A download or a table: it takes a lease on all files of a version, and reads them until it is done. */
  async #read({ objects, readings }: Server): Promise<boolean> {
    const datasetId = await anyDataset(this.#place, this.#random);
    const versionId = await anyVersion(this.#place, this.#random, datasetId);
    const manifest = datasetId && versionId && (await this.#store.versions.manifest(datasetId, versionId));
    if (!manifest) return false;
    const keys = [...manifest.files.map(({ objectKey }) => objectKey), ...(manifest.originalKey === null ? [] : [manifest.originalKey])];
    readings.push({ keys, release: await objects.lease(keys.map((key) => objects.localPath(key))) });
    return true;
  }

  async #finish<Item>(items: Item[], end: (item: Item) => void | Promise<void>): Promise<boolean> {
    const [item] = items.splice(this.#random.below(items.length), 1);
    if (item === undefined) return false;
    await end(item);
    return true;
  }

  /** What the backup of an installation does: it registers, and then lists what it is going to copy. */
  async #backUp(): Promise<boolean> {
    if (this.#backups.length >= 2) return false;
    const readerId = randomUUID();
    await this.#store.disposal.join(readerId, 'backup', LIMITS.fileReaderLeaseMs);
    this.#backups.push({ readerId, keys: (await this.#place.versions('true')).flatMap(({ keys }) => keys) });
    return true;
  }

  async #timePasses(): Promise<boolean> {
    await this.#place.query(`UPDATE versions SET removed_at = removed_at - ${WEEK} WHERE removed_at IS NOT NULL AND released_at IS NULL`);
    await this.#place.query(`UPDATE datasets SET deleted_at = deleted_at - ${WEEK} WHERE deleted_at IS NOT NULL`);
    return true;
  }

  /** What housekeeping does with files of commits that failed; those that are being committed do not exist here. */
  async #sweep(): Promise<void> {
    const keys = await this.#place.files();
    const referenced = await this.#store.versions.referenced(keys);
    const orphans = keys.filter((key) => !referenced.has(key));
    await createLocalObjects(this.#place.objects).delete(orphans);
  }

  async #start(): Promise<Server> {
    const local = createLocalObjects(this.#place.objects);
    const objects = createHeldObjects({ ...local, delete: (keys) => this.#deleteSome(local, keys) });
    const store = new Proxy(this.#store.disposal, {
      get: (target, name) => {
        const method = Reflect.get(target, name, target) as (...input: unknown[]) => Promise<unknown>;
        return (...input: unknown[]) => this.#guard(() => method.apply(target, input));
      },
    });
    return {
      objects,
      disposal: await openDisposal({ store, objects, limits: LIMITS, clock: systemClock, log: createLog('error', false) }),
      readings: [],
    };
  }

  /** What was in memory is gone, its readers with it; what it told the database stays until its lease ends. */
  async #restart(index: number): Promise<void> {
    this.#servers[index]?.readings.splice(0);
    if (this.#random.below(2) === 0) await this.#place.query(`UPDATE file_readers SET expires_at = now() WHERE kind = 'server'`);
    this.#servers[index] = await this.#start();
    // Servers whose lease was ended join again, as one does that was away for long.
    for (const { disposal } of this.#servers) await disposal.acknowledge();
  }

  /** One call, before or after which the power may fail. */
  async #guard<Result>(call: () => Promise<Result>): Promise<Result> {
    if (this.#callsLeft === 0) throw new Crash('before a call');
    const result = await call();
    if (this.#callsLeft !== null) this.#callsLeft -= 1;
    if (this.#callsLeft === 0 && this.#random.below(2) === 0) throw new Crash('after a call');
    return result;
  }

  async #deleteSome(local: ObjectStore, keys: readonly string[]): Promise<void> {
    if (this.#callsLeft === null || this.#callsLeft > 1) return local.delete(keys);
    await local.delete(keys.slice(0, this.#random.below(keys.length + 1)));
    throw new Crash('while files were deleted');
  }
}
