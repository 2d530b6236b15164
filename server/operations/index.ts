import { accessHandlers } from './access.ts';
import { adminHandlers } from './admin.ts';
import { auditHandlers } from './audit.ts';
import { branchHandlers } from './branch.ts';
import { datasetHandlers } from './dataset.ts';
import { diffHandlers } from './diff.ts';
import { documentHandlers } from './document.ts';
import { grantHandlers } from './grant.ts';
import type { Handlers } from './handler.ts';
import { refHandlers } from './ref.ts';
import { retentionHandlers } from './retention.ts';
import { scheduleHandlers } from './schedule.ts';
import type { Services } from './services.ts';
import { sessionHandlers } from './session.ts';
import { tableHandlers } from './table.ts';
import { tagHandlers } from './tag.ts';
import { uploadHandlers } from './upload.ts';
import { versionHandlers } from './version.ts';
import { viewHandlers } from './view.ts';

/** A handler for every operation of the registry. */
export function createHandlers(services: Services): Handlers {
  return {
    session: sessionHandlers(services),
    dataset: datasetHandlers(services),
    upload: uploadHandlers(services),
    version: versionHandlers(services),
    branch: branchHandlers(services),
    tag: tagHandlers(services),
    ref: refHandlers(services),
    diff: diffHandlers(services),
    table: tableHandlers(services),
    view: viewHandlers(services),
    document: documentHandlers(services),
    schedule: scheduleHandlers(services),
    grant: grantHandlers(services),
    access: accessHandlers(services),
    audit: auditHandlers(services),
    retention: retentionHandlers(services),
    admin: adminHandlers(services),
  };
}
