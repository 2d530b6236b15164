import * as z from 'zod/v4';

/**
 * Branded identifiers. The brand exists only in the type system, so that a version's number cannot be passed where a
 * dataset's is wanted; on the wire they are plain integers and strings.
 */
export const datasetId = z.int().positive().max(2_147_483_647).brand<'DatasetId'>().describe('Dataset identifier');
export const versionId = z.int().positive().max(2_147_483_647).brand<'VersionId'>().describe('Version number, from 1, unique in its dataset');
export const grantId = z.int().positive().brand<'GrantId'>().describe('Grant identifier');
export const scheduleId = z.int().positive().max(2_147_483_647).brand<'ScheduleId'>().describe('Schedule identifier');
export const runId = z.int().positive().brand<'RunId'>().describe('Identifier of a run of a schedule');
export const uploadId = z.uuid().brand<'UploadId'>().describe('Upload identifier');

export const tableId = z
  .string()
  .regex(/^(?:dataset_[1-9]\d{0,9}_v[1-9]\d{0,9}|upload)_[0-9a-f]{32}$/, 'must be a tableId as table.open gives it')
  .brand<'TableId'>()
  .describe('Table identifier; dataset_{datasetId}_v{versionId}_{hash}, or upload_{hash}');
export const viewId = z
  .string()
  .regex(/^view_[0-9a-f]{32}$/, 'must be a viewId as view.create gives it')
  .brand<'ViewId'>()
  .describe('View identifier');

export type DatasetId = z.output<typeof datasetId>;
export type VersionId = z.output<typeof versionId>;
export type GrantId = z.output<typeof grantId>;
export type ScheduleId = z.output<typeof scheduleId>;
export type RunId = z.output<typeof runId>;
export type UploadId = z.output<typeof uploadId>;
export type TableId = z.output<typeof tableId>;
export type ViewId = z.output<typeof viewId>;

/** Of what a table was made; null for one made of an upload. */
export function versionOfTable(id: TableId): { readonly datasetId: DatasetId; readonly versionId: VersionId } | null {
  const [, dataset, version] = /^dataset_(\d+)_v(\d+)_/.exec(id) ?? [];
  if (dataset === undefined || version === undefined) return null;
  return { datasetId: datasetId.parse(Number(dataset)), versionId: versionId.parse(Number(version)) };
}

/** Who did something: the `sub` of the token. */
export type Subject = string;

/** A principal as grants name it: `user:` or `group:` followed by a name. */
export const principal = z
  .string()
  .max(300)
  .regex(/^(user|group):[^\p{Cc}\p{Cs}]+$/u, 'must be "user:NAME" or "group:NAME"')
  .describe('user:NAME or group:NAME');

export type Principal = z.output<typeof principal>;
