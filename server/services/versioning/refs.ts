import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type { PointerRecord, PointerStore, VersionStore } from '../../storage/stores.ts';
import type { VersionReader } from './version-reader.ts';

export interface ResolvedRef {
  readonly ref: string;
  readonly versionId: VersionId;
  readonly kind: 'branch' | 'tag' | 'version';
  /** Whether the ref can never mean another version. */
  readonly immutable: boolean;
}

export interface RefResolver {
  /** `invalid_input` for what is no ref, `not_found` for one that means nothing here, or a version that was removed. */
  resolve(datasetId: DatasetId, ref: string): Promise<ResolvedRef>;
  pointer(datasetId: DatasetId, name: string): Promise<PointerRecord>;
  /** The head of a branch; undefined when there is no such branch, `conflict` when the name is a tag's. */
  head(datasetId: DatasetId, branch: string): Promise<{ readonly versionId: VersionId; readonly protected: boolean } | undefined>;
}

interface ParsedRef {
  readonly base: string;
  readonly time: string | undefined;
  readonly steps: number;
}

/** BASE, then optionally @TIME, then any number of ~N. */
const REF = /^(?<base>[^~@]+)(?:@(?<time>[^~@]+))?(?<steps>(?:~\d{0,9})*)$/;
const TIME = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;

export function createRefResolver(options: {
  readonly pointers: PointerStore;
  readonly versions: VersionStore;
  readonly reader: VersionReader;
}): RefResolver {
  const { pointers, versions, reader } = options;

  const back = (datasetId: DatasetId, from: VersionId, steps: number): Promise<VersionId | undefined> | VersionId =>
    steps === 0 ? from : versions.ancestor(datasetId, from, steps);

  /** What the parts of a ref come to; no version where it goes back further than the history. */
  const find = async (datasetId: DatasetId, { base, time, steps }: ParsedRef): Promise<Found> => {
    if (/^\d+$/.test(base)) {
      if (time !== undefined) throw invalidRef('a time can follow a branch, not a version number');
      const { versionId } = await reader.recordOfAny(datasetId, toVersionId(base));
      return { kind: 'version', versionId: await back(datasetId, versionId, steps) };
    }
    const name = base === 'latest' ? 'main' : base;
    if (time !== undefined) return { kind: 'branch', versionId: await back(datasetId, await headAt(datasetId, name, time), steps) };
    const found = await pointers.resolve(datasetId, name, steps);
    if (found === undefined) throw noPointer(datasetId, name);
    return { kind: found.kind, versionId: found.versionId ?? undefined };
  };

  const headAt = async (datasetId: DatasetId, name: string, time: string): Promise<VersionId> => {
    const found = await pointers.headAt(datasetId, name, toInstant(time));
    if (found === undefined)
      throw new CovistaError('not_found', `branch ${JSON.stringify(name)} did not exist at ${time}`, { datasetId, name, time });
    return found;
  };

  return {
    pointer: async (datasetId, name) => {
      const found = await pointers.get(datasetId, name);
      if (found === undefined) throw noPointer(datasetId, name);
      return found;
    },
    resolve: async (datasetId, ref) => {
      const parsed = parseRef(ref);
      const { kind, versionId } = await find(datasetId, parsed);
      if (versionId === undefined)
        throw new CovistaError('not_found', `${JSON.stringify(ref)} goes back further than the history does`, { datasetId, ref });
      // Heads are never removed.
      if (kind === 'version' || parsed.steps > 0 || parsed.time !== undefined) await reader.record(datasetId, versionId);
      return { ref, versionId, kind, immutable: kind !== 'branch' };
    },
    head: async (datasetId, branch) => {
      const found = await pointers.get(datasetId, branch);
      if (found?.kind === 'tag')
        throw new CovistaError('conflict', `${JSON.stringify(branch)} is a tag, and a tag never moves`, { name: branch, kind: 'tag' });
      return found;
    },
  };
}

interface Found {
  readonly kind: ResolvedRef['kind'];
  readonly versionId: VersionId | undefined;
}

function noPointer(datasetId: DatasetId, name: string): CovistaError {
  return new CovistaError('not_found', `dataset ${datasetId} has no branch or tag named ${JSON.stringify(name)}`, { datasetId, name });
}

export function parseRef(ref: string): ParsedRef {
  const groups = REF.exec(ref)?.groups;
  if (groups === undefined) throw invalidRef(`${JSON.stringify(ref)} is not of the form BASE, BASE~N or BRANCH@TIME`);
  const steps = [...(groups.steps ?? '').matchAll(/~(\d*)/g)].reduce((sum, [, count]) => sum + (count === '' ? 1 : Number(count)), 0);
  return { base: groups.base as string, time: groups.time, steps };
}

function toVersionId(digits: string): VersionId {
  const number = Number(digits);
  if (number < 1 || number > 2_147_483_647) throw invalidRef(`${digits} is not a version number`);
  return number as VersionId;
}

function toInstant(time: string): string {
  const milliseconds = TIME.test(time) ? Date.parse(time) : Number.NaN;
  if (Number.isNaN(milliseconds)) throw invalidRef(`${JSON.stringify(time)} is not a time such as 2026-01-31 or 2026-01-31T00:00:00Z`);
  return new Date(milliseconds).toISOString();
}

function invalidRef(reason: string): CovistaError {
  return new CovistaError('invalid_input', `invalid ref: ${reason}`, { field: 'ref' });
}
