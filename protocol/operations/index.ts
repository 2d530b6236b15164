import { defineOperations, type Operation } from '../define.ts';
import { accessOperations } from './access.ts';
import { adminOperations } from './admin.ts';
import { auditOperations } from './audit.ts';
import { branchOperations } from './branch.ts';
import { datasetOperations } from './dataset.ts';
import { diffOperations } from './diff.ts';
import { documentOperations } from './document.ts';
import { grantOperations } from './grant.ts';
import { refOperations } from './ref.ts';
import { retentionOperations } from './retention.ts';
import { scheduleOperations } from './schedule.ts';
import { sessionOperations } from './session.ts';
import { tableOperations } from './table.ts';
import { tagOperations } from './tag.ts';
import { uploadOperations } from './upload.ts';
import { versionOperations } from './version.ts';
import { viewOperations } from './view.ts';

/** THE registry: everything that anyone may ask of the server. */
export const operations = defineOperations({
  session: sessionOperations,
  dataset: datasetOperations,
  upload: uploadOperations,
  version: versionOperations,
  branch: branchOperations,
  tag: tagOperations,
  ref: refOperations,
  diff: diffOperations,
  document: documentOperations,
  table: tableOperations,
  view: viewOperations,
  schedule: scheduleOperations,
  grant: grantOperations,
  access: accessOperations,
  audit: auditOperations,
  retention: retentionOperations,
  admin: adminOperations,
});

export type Operations = typeof operations;

export type OperationName = {
  [Noun in keyof Operations & string]: `${Noun}.${keyof Operations[Noun] & string}`;
}[keyof Operations & string];

/** Every operation by its name `noun.verb`; a verb may have a dot of its own (`admin.maintenance.enter`). */
export const operationsByName: ReadonlyMap<OperationName, Operation> = new Map(
  Object.entries(operations).flatMap(([noun, verbs]) =>
    Object.entries(verbs).map(([verb, declared]) => [`${noun}.${verb}` as OperationName, declared as Operation] as const),
  ),
);
