import * as z from 'zod/v4';

/**
 * Branded identifiers. The brand exists only in the type system, so that a version's number cannot be passed where a
 * dataset's is wanted; on the wire they are plain integers and strings.
 */
export const datasetId = z.int().positive().max(2_147_483_647).brand<'DatasetId'>().describe('Dataset identifier');
export const versionId = z.int().positive().max(2_147_483_647).brand<'VersionId'>().describe('Version number, from 1, unique in its dataset');
export const grantId = z.int().positive().brand<'GrantId'>().describe('Grant identifier');
export const uploadId = z.uuid().brand<'UploadId'>().describe('Upload identifier');

export type DatasetId = z.output<typeof datasetId>;
export type VersionId = z.output<typeof versionId>;
export type GrantId = z.output<typeof grantId>;
export type UploadId = z.output<typeof uploadId>;

/** Who did something: the `sub` of the token. */
export type Subject = string;

/** A principal as grants name it: `user:` or `group:` followed by a name. */
export const principal = z
  .string()
  .max(300)
  .regex(/^(user|group):[^\p{Cc}\p{Cs}]+$/u, 'must be "user:NAME" or "group:NAME"')
  .describe('user:NAME or group:NAME');

export type Principal = z.output<typeof principal>;
