import type { Limits } from '../../protocol/limits.ts';
import type { Authorizer } from '../services/access/authorizer.ts';
import type { Explanations } from '../services/access/explanations.ts';
import type { Revocations } from '../services/access/revocations.ts';
import type { Tickets } from '../services/access/tickets.ts';
import type { VisibleVersions } from '../services/access/visible-versions.ts';
import type { DatasetRemoval } from '../services/datasets.ts';
import type { Documents } from '../services/documents/documents.ts';
import type { EventFeed } from '../services/events/event-feed.ts';
import type { Retention } from '../services/retention/retention.ts';
import type { TableChannels } from '../services/tables/table-channels.ts';
import type { Tables } from '../services/tables/tables.ts';
import type { ViewExports } from '../services/tables/view-exports.ts';
import type { Views } from '../services/tables/views.ts';
import type { Uploads } from '../services/uploads/uploads.ts';
import type { Commits } from '../services/versioning/commits.ts';
import type { Diffs } from '../services/versioning/diffs.ts';
import type { Downloads } from '../services/versioning/downloads.ts';
import type { Previews } from '../services/versioning/previews.ts';
import type { RefResolver } from '../services/versioning/refs.ts';
import type { VersionReader } from '../services/versioning/version-reader.ts';
import type { Stores } from '../storage/stores.ts';

/** What handlers are made of. */
export interface Services {
  readonly stores: Stores;
  readonly authorizer: Authorizer;
  readonly revocations: Revocations;
  readonly tickets: Tickets;
  readonly datasets: DatasetRemoval;
  readonly retention: Retention;
  readonly uploads: Uploads;
  readonly commits: Commits;
  readonly reader: VersionReader;
  readonly refs: RefResolver;
  readonly previews: Previews;
  readonly visible: VisibleVersions;
  readonly explanations: Explanations;
  readonly diffs: Diffs;
  readonly downloads: Downloads;
  readonly documents: Documents;
  readonly events: EventFeed;
  readonly tables: Tables;
  readonly tableChannels: TableChannels;
  readonly views: Views;
  readonly viewExports: ViewExports;
  readonly limits: Pick<Limits, 'uploadChunkBytesMax' | 'pageBytesMax'>;
}
