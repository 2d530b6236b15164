/** The version of the wire and of the operations on it that this code speaks. */
export const PROTOCOL_VERSION = 1;

/** The versions that a server of this code accepts, newest first. */
export const SUPPORTED_VERSIONS: readonly number[] = [1];

/**
 * What changed when. The newest line carries the fingerprint of the protocol as it is (`fingerprint.ts`): a test fails when
 * the two differ, so that no change of the wire goes unnoticed. A change that old clients cannot live with takes a new version.
 */
export const PROTOCOL_HISTORY: readonly { readonly version: number; readonly date: string; readonly fingerprint: string; readonly change: string }[] =
  [
    {
      version: 1,
      date: '2026-11-22',
      fingerprint: '73367ddad1a0ce4d',
      change: 'First version: requests, streams with credit, bodies, fragments, token refresh, goodbye',
    },
    {
      version: 1,
      date: '2026-11-22',
      fingerprint: 'db2ac5bf2c523086',
      change: 'Sessions: revocation, one-time tickets, step-up',
    },
    {
      version: 1,
      date: '2026-11-22',
      fingerprint: '46b482b5e3498dfd',
      change: 'Schemas compared tell of every column whether its change is compatible',
    },
    {
      version: 1,
      date: '2026-11-23',
      fingerprint: '7b17854281838df2',
      change: 'Channels',
    },
    {
      version: 1,
      date: '2026-11-23',
      fingerprint: 'd4460febbf94fe44',
      change: 'Documents: messages of their channels, shapes of saved views, annotations and preferences',
    },
    {
      version: 1,
      date: '2026-11-23',
      fingerprint: '7562b2b5887c2c0c',
      change: 'A watch from now on begins with the item watching',
    },
    {
      version: 1,
      date: '2026-11-23',
      fingerprint: '3c72999aa6a8ae50',
      change: 'The audit is filtered, exported and read for the whole server; revocations are listed and lifted',
    },
    {
      version: 1,
      date: '2026-11-23',
      fingerprint: 'e18be90c0c6ea1ec',
      change: 'Live documents are opened, and tell whose edits are whose',
    },
    {
      version: 1,
      date: '2026-11-23',
      fingerprint: 'b686751242388856',
      change: 'Tables and views',
    },
    {
      version: 1,
      date: '2026-11-23',
      fingerprint: '0fa682c3f77638cb',
      change: 'Snapshots of documents are taken and listed',
    },
    {
      version: 1,
      date: '2026-11-26',
      fingerprint: 'f1fd74f86872ad79',
      change: 'Versions are removed as policies say, deleted datasets come back, and versions tell when they were removed',
    },
    {
      version: 1,
      date: '2026-11-26',
      fingerprint: '914370c788b864b3',
      change: 'Admins preview the rows that somebody sees',
    },
    {
      version: 1,
      date: '2026-11-26',
      fingerprint: 'b5355fb34d12384c',
      change: 'Scheduled exports',
    },
    {
      version: 1,
      date: '2026-11-26',
      fingerprint: '82e64d8547858556',
      change: 'Tables are opened for expressions of a language',
    },
    {
      version: 1,
      date: '2026-11-26',
      fingerprint: '1486f97dc1e0750b',
      change: 'Snapshots of documents are read and restored, and entries published to those who see less',
    },
    {
      version: 1,
      date: '2026-11-26',
      fingerprint: '01109e513766da1b',
      change: 'Alerts and maintenance for server admins',
    },
    {
      version: 1,
      date: '2026-11-27',
      fingerprint: '5411d9f02779d51d',
      change: 'Tables of uploads say which rows of the file could not be read',
    },
    {
      version: 1,
      date: '2026-11-27',
      fingerprint: '6ce78250ef484d27',
      change: 'What the engine of a view has no memory, room or bytes for has a code of its own',
    },
    {
      version: 1,
      date: '2026-11-27',
      fingerprint: 'd18c3a0825660efd',
      change: 'An upload becomes a dataset together with its first version',
    },
    {
      version: 1,
      date: '2026-11-28',
      fingerprint: 'b09fa7f8131045d3',
      change: 'dataset.cleanup is a conflict where more versions are kept by the time it removes them than when they were counted',
    },
    {
      version: 1,
      date: '2026-11-28',
      fingerprint: 'e43c61afaabe6c9a',
      change: 'Labels of snapshots of the document of those who see less are null to them',
    },
    {
      version: 1,
      date: '2026-11-28',
      fingerprint: 'a80e84ba988ebbf5',
      change: 'A snapshot that was kept before another was restored names in takenBy who restored',
    },
    {
      version: 1,
      date: '2026-11-29',
      fingerprint: 'c09fd8d2f366054e',
      change: 'Every operation names storage_full among its errors, and those that read documents and export views unprocessable_data',
    },
  ];
