/**
 * Every bound of the system, stated once: value, unit and the reason. A limit `frameBytesMax` is set by the environment
 * variable `COVISTA_FRAME_BYTES_MAX` or the flag `--frame-bytes-max`.
 */
export interface Limit {
  readonly value: number;
  readonly unit: 'bytes' | 'ms' | 'count' | 'chars' | 'percent' | 'per minute' | 'per second';
  readonly why: string;
}

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const limit = (value: number, unit: Limit['unit'], why: string): Limit => ({ value, unit, why });

export const LIMITS = {
  // Names and texts
  pointerNameCharsMax: limit(200, 'chars', 'Branch and tag names stay readable in a path'),
  datasetNameCharsMax: limit(200, 'chars', 'Dataset names stay readable in a list'),
  refCharsMax: limit(300, 'chars', 'A pointer name plus a suffix such as ~N or @TIME'),
  descriptionCharsMax: limit(10_000, 'chars', 'A description is prose, not data'),
  messageCharsMax: limit(10_000, 'chars', 'A commit message is prose, not data'),
  labelsMax: limit(50, 'count', 'Labels of one dataset'),
  labelCharsMax: limit(100, 'chars', 'One label'),
  keyColumnsMax: limit(16, 'count', 'Columns of a key'),
  columnNameCharsMax: limit(1_000, 'chars', 'One column name'),
  fileNameCharsMax: limit(255, 'chars', 'The name of an uploaded file, kept for downloads'),
  tokenCharsMax: limit(8 * KiB, 'chars', 'A token with many groups still fits'),
  subjectCharsMax: limit(200, 'chars', 'The subject of a token, or one group'),
  tokenIdCharsMax: limit(200, 'chars', 'The id of a token'),
  groupsMax: limit(200, 'count', 'Groups of one token'),
  reasonCharsMax: limit(500, 'chars', 'Why a token was revoked, in a sentence'),
  idempotencyKeyCharsMax: limit(200, 'chars', 'A key that callers make up, usually a UUID'),

  // The wire
  frameBytesMax: limit(256 * KiB, 'bytes', 'One WebSocket message from a client'),
  fragmentBytes: limit(64 * KiB, 'bytes', 'Larger frames travel in pieces of this size, so that none blocks the others'),
  helloTimeoutMs: limit(5 * SECOND, 'ms', 'A socket that does not say hello is closed'),
  helloBytesMax: limit(16 * KiB, 'bytes', 'Nothing larger is read before authentication'),
  idleTimeoutMs: limit(120 * SECOND, 'ms', 'A socket without a word or a pong for so long is closed'),
  requestsInFlightMax: limit(256, 'count', 'Requests of one connection that run at once'),
  channelsMax: limit(64, 'count', 'Channels of one connection that are open at once'),
  channelOutboxBytesMax: limit(4 * MiB, 'bytes', 'Bytes that wait for a reader of one channel before the channel is closed'),
  requestBytesMax: limit(8 * MiB, 'bytes', 'One request whose frame travels in fragments'),
  outboxBytesMax: limit(16 * MiB, 'bytes', 'Bytes that wait for one connection before it is closed as a slow consumer'),
  socketBufferBytesMax: limit(256 * KiB, 'bytes', 'Bytes handed to the kernel before the outbox holds back'),
  streamCreditBytes: limit(512 * KiB, 'bytes', 'Bytes of one stream or body that may be under way unacknowledged'),
  connectionsMax: limit(20_000, 'count', 'Sockets at once'),
  connectionsAwaitingHelloMax: limit(2_000, 'count', 'Sockets that have not said hello; each may hold one frame'),

  // Tokens
  tokenCacheMax: limit(10_000, 'count', 'Verified tokens that are remembered, by hash'),
  revocationsMax: limit(100_000, 'count', 'Revocations that count, which are kept in memory'),
  ticketKeepMs: limit(30 * SECOND, 'ms', 'A one-time ticket holds for so long'),
  ticketsPerSubjectMax: limit(1_000, 'count', 'Tickets of one person that hold and were not used'),
  jwksTimeoutMs: limit(5 * SECOND, 'ms', 'Fetching the keys of the token issuer'),
  jwksCooldownMs: limit(30 * SECOND, 'ms', 'Unknown keys make the server fetch at most once in this time'),
  jwksKeepMs: limit(10 * MINUTE, 'ms', 'Fetched keys are fetched anew after this'),
  jwksStaleMs: limit(24 * HOUR, 'ms', 'While the keys cannot be fetched anew, those that were fetched last go on for so long'),

  // Rates
  requestsPerSubjectPerSecond: limit(500_000, 'per second', 'Requests of one person on this server'),
  requestsPerAddressPerSecond: limit(50_000, 'per second', 'HTTP requests and new sockets of one address, before it is known who sends them'),
  failedTokensPerAddressPerMinute: limit(6_000, 'count', 'Tokens of one address that were refused, before no further one is looked at'),
  rateKeysMax: limit(50_000, 'count', 'Persons and addresses whose rates are remembered'),
  sessionsPerSubjectMax: limit(10_000, 'count', 'Sockets of one person at once'),
  sessionsPerAddressMax: limit(10_000, 'count', 'Sockets of one address at once'),

  // HTTP
  httpJsonBytesMax: limit(1 * MiB, 'bytes', 'A JSON request body'),
  httpHeaderBytesMax: limit(16 * KiB, 'bytes', 'All headers of one request'),
  httpBodyIdleMs: limit(60 * SECOND, 'ms', 'A request body that stalls for so long is given up'),

  // Work
  operationTimeoutMs: limit(5 * MINUTE, 'ms', 'A query that runs longer is cancelled'),
  commitTimeoutMs: limit(60 * MINUTE, 'ms', 'A commit that converts longer is cancelled'),
  drainTimeoutMs: limit(5 * MINUTE, 'ms', 'In-flight work finishes within this when the server stops or goes into maintenance'),
  reconnectDelayMs: limit(2 * SECOND, 'ms', 'Reconnects after a goodbye are spread over this'),
  idempotencyKeepMs: limit(24 * HOUR, 'ms', 'A repeated command finds its first result for so long'),
  pageItemsDefault: limit(100, 'count', 'Items of a page when the caller does not say'),
  pageItemsMax: limit(1_000, 'count', 'Items of a page'),
  rowsPerPageMax: limit(10_000, 'count', 'Rows of one preview or diff page'),
  pageBytesMax: limit(2 * MiB, 'bytes', 'Rows of one page, encoded; everybody else waits while that is done, about 10 ms'),
  watchersPerDatasetMax: limit(2_000, 'count', 'Subscriptions to the events of one dataset'),
  eventsQueuedMax: limit(1_000, 'count', 'Events that wait for one subscriber before it must resume'),
  eventsKeepMs: limit(7 * 24 * HOUR, 'ms', 'A subscriber that comes back within this misses nothing'),

  // Uploads and storage
  uploadBytesMax: limit(20 * GiB, 'bytes', 'One uploaded file'),
  uploadExpandedBytesMax: limit(100 * GiB, 'bytes', 'The same file after decompression'),
  uploadChunkBytesMax: limit(16 * MiB, 'bytes', 'One upload.write'),
  uploadsOpenPerSubjectMax: limit(64, 'count', 'Unfinished uploads of one person'),
  uploadKeepMs: limit(24 * HOUR, 'ms', 'An unfinished upload without a write for so long is removed'),
  columnsMax: limit(1_000, 'count', 'Columns of a version; DuckDB needs about 300 KiB of its memory for each to write them'),
  ingestSampleBytes: limit(128 * KiB, 'bytes', 'The start of a file from which its format and the types of its columns are told'),
  csvLineBytesMax: limit(16 * MiB, 'bytes', 'One line of a CSV file; the parser holds some in memory'),
  nestingMax: limit(
    16,
    'count',
    'Lists, structs and maps of a file within each other; each further list doubles the time that DuckDB takes to read a row',
  ),
  arrowBatchBytesMax: limit(256 * MiB, 'bytes', 'One record batch of an Arrow file, which is held in memory whole'),
  conversionErrorsMax: limit(100, 'count', 'Rejected rows that a version lists; all are counted'),
  manifestFilesMax: limit(4_096, 'count', 'Data files of a version; appends merge small ones well before'),
  manifestSmallFilesMax: limit(32, 'count', 'Small files at the end of a manifest before an append merges them'),
  smallFileBytes: limit(1 * MiB, 'bytes', 'A data file below this is small'),
  commitsQueuedMax: limit(10_000, 'count', 'Commits that wait for one dataset'),
  commitBatchMax: limit(64, 'count', 'Commits of one dataset that land in one transaction'),
  diffResultsMax: limit(1_000, 'count', 'Computed diffs kept on disk for further pages, least recently used dropped'),
  diffResultBytesMax: limit(1 * GiB, 'bytes', 'The same in bytes: positions of changed rows, some bytes each, no data'),
  diffKeyChecksMax: limit(10_000, 'count', 'Lists of files whose keys are known to be without NULLs and duplicates'),
  diffDigestRowsMin: limit(
    1_000_000,
    'count',
    'Rows that a diff by key compares, or that a commit adds in one file to a dataset with a key, before digests of rows are made',
  ),
  diffDigestBytesMax: limit(4 * GiB, 'bytes', 'Digests of rows on disk, some 24 bytes a row, least recently used dropped; 0: none is made'),
  diffDigestFilesMax: limit(10_000, 'count', 'Data files whose rows have digests, least recently used dropped; 0: none has'),
  diffDigestCellsMax: limit(
    12_000_000,
    'count',
    'Cells that are digested at a stretch, a second or two, during which other bulk work shares the engine',
  ),
  diffDigestQueueMax: limit(1_000, 'count', 'Data files that wait for digests of their rows; further ones go without'),
  decryptedCacheBytesMax: limit(20 * GiB, 'bytes', 'Decrypted objects on disk while encryption at rest is on, least recently used dropped'),
  exportCacheBytesMax: limit(4 * GiB, 'bytes', 'Rendered downloads kept on disk, least recently used dropped'),

  // Access
  filterCharsMax: limit(4_000, 'chars', 'A row filter is a condition, not a program'),
  filterDepthMax: limit(50, 'count', 'How deep the parts of a row filter may nest'),
  filterNodesMax: limit(1_000, 'count', 'Parts of a row filter: columns, constants, operators and calls'),
  filterClaimValuesMax: limit(1_000, 'count', 'Values of one claim in an IN list of a row filter'),
  grantsPerDatasetMax: limit(10_000, 'count', 'Grants of one dataset, which are kept in memory together'),
  auditFlushMs: limit(1 * SECOND, 'ms', 'Denials and accesses wait so long to be written to the audit together'),
  auditPeriodMs: limit(60 * SECOND, 'ms', 'What is refused again within this is one audit entry with a count'),
  auditEntriesMax: limit(10_000, 'count', 'Audit entries that wait in memory; beyond it, entries are joined'),
  auditEntriesPerCallerMax: limit(100, 'count', 'Kinds of denials of one caller that are told apart in a period'),
  scopePartsMax: limit(100, 'count', 'Restricted grants that are joined to one scope; every read carries all their filters'),

  // Live documents
  documentEntryIdCharsMax: limit(64, 'chars', 'The id of a saved view, an annotation or a reply'),
  savedViewsMax: limit(2_000, 'count', 'Saved views of one document'),
  savedViewNameCharsMax: limit(200, 'chars', 'Names of views stay readable in a list'),
  savedViewPluginCharsMax: limit(100, 'chars', 'The name of a viewer plugin or of a type'),
  savedViewConfigBytesMax: limit(64 * KiB, 'bytes', 'A view config with its expressions'),
  savedViewPluginBytesMax: limit(64 * KiB, 'bytes', 'What a viewer plugin keeps of its own'),
  annotationsMax: limit(20_000, 'count', 'Annotations of one document; ten thousand take 18 MiB of memory'),
  annotationBodyCharsMax: limit(10_000, 'chars', 'An annotation or a reply is prose, not data'),
  annotationRepliesMax: limit(500, 'count', 'Replies of one annotation'),
  anchorBytesMax: limit(8 * KiB, 'bytes', 'What an annotation is about, with the values of a key'),
  preferencesMax: limit(500, 'count', 'Preferences of one person'),
  preferenceBytesMax: limit(16 * KiB, 'bytes', 'One preference'),
  presenceNameCharsMax: limit(200, 'chars', 'The name that a person shows'),
  presenceIdCharsMax: limit(300, 'chars', 'The id of a table that a person looks at'),
  awarenessStateBytesMax: limit(16 * KiB, 'bytes', 'The awareness state of one client, with a view config for those who follow'),
  documentUpdateBytesMax: limit(1 * MiB, 'bytes', 'One message of a document channel, such as all edits of a day offline'),
  documentUpdateStructsMax: limit(
    50_000,
    'count',
    'Items of one edit, and ranges that it removes, each of which takes memory and time, however few its bytes',
  ),
  documentConflictStepsMax: limit(
    200_000,
    'count',
    'Items of others that Yjs goes past to find the places of those of one edit, where several were inserted at one place; and by 16 the values that it copies to split those that were put in together',
  ),
  documentLoadStepsMax: limit(
    2_000_000,
    'count',
    'Items that Yjs goes past to put a document together when it is opened; a state may take half of them, and the edits since it was opened the other half',
  ),
  documentNewClientsMax: limit(2_000, 'count', 'Yjs clients that become somebody’s with one edit: every start of a page that was offline is one'),
  documentClientsMax: limit(50_000, 'count', 'Yjs clients of one person in one document; a page that edits is one'),
  documentToldClientsMax: limit(
    1_000,
    'count',
    'Yjs clients of one person in one document that told presence and edited nothing yet, which nobody else edits under; the oldest go',
  ),
  documentToldClientsKeptMax: limit(50, 'count', 'Of these, so many of each person are kept when the document is unloaded, the newest'),
  documentBytesMax: limit(32 * MiB, 'bytes', 'One document, encoded'),
  documentRootsMax: limit(64, 'count', 'Shared types at the root of a document'),
  documentLevelsMax: limit(64, 'count', 'Shared types within each other, and values within each other, in a document'),
  documentKeptSyncBytesMax: limit(64 * KiB, 'bytes', 'What those who open a document are told is kept for the next one, unless it is longer'),
  documentsOpenMax: limit(10_000, 'count', 'Documents that are open on this server'),
  documentsAtOnceMax: limit(200, 'count', 'Documents that are opened or given back in one statement, when many are at once'),
  documentConnectionsMax: limit(5_000, 'count', 'Channels of one document'),
  documentIdleMs: limit(30 * SECOND, 'ms', 'A document that nobody has open is unloaded after this'),
  documentLeaseMs: limit(15 * SECOND, 'ms', 'A server that was killed keeps its documents from others on the same database for so long'),
  documentPendingBytesMax: limit(
    16 * MiB,
    'bytes',
    'Edits of one document that wait for the database, and answers to who asks for its state that wait for them',
  ),
  documentQueuedBytesMax: limit(
    1 * MiB,
    'bytes',
    'Edits that wait for one reader before its channel is closed, to come back and sync; a state that is larger is read first',
  ),
  documentStallMs: limit(30 * SECOND, 'ms', 'Who reads nothing of the state of a large document for so long is let go'),
  documentUpdatesPerSecond: limit(500, 'per second', 'Edits of one connection, each being a message'),
  documentUpdateBytesPerSecond: limit(4 * MiB, 'per second', 'Bytes of the edits of one connection'),
  documentConflictStepsPerSecond: limit(50_000, 'per second', 'The same for the edits of one connection'),
  documentSyncsPerSecond: limit(10, 'per second', 'Times that one connection asks for the state of documents, beside once with each channel'),
  documentRefusalsPerMinute: limit(600, 'count', 'Edits of one connection that may be refused before their channel is closed'),
  documentPutBackBytes: limit(16 * KiB, 'bytes', 'So many bytes that the server puts back after an edit that was refused count as one more refusal'),
  documentLogBatchesMax: limit(256, 'count', 'Batches of edits that opening a document replays, before a state takes their place'),
  documentLogBytesMax: limit(256 * KiB, 'bytes', 'The same in bytes; of a large document, half of its state'),
  documentStatesIdleMs: limit(
    60 * SECOND,
    'ms',
    'The thread that puts states of documents together ends after such a rest, with the memory that it took',
  ),
  documentSnapshotIntervalMs: limit(1 * HOUR, 'ms', 'While a document is edited, a snapshot of it is kept this often'),
  documentPeriodicSnapshotsMax: limit(168, 'count', 'Snapshots of one document that are kept by themselves, the newest'),
  documentRestoreSnapshotsMax: limit(30, 'count', 'Snapshots of one document that are kept before others are restored, the newest'),
  documentNamedSnapshotsMax: limit(200, 'count', 'Snapshots of one document that people have taken'),
  documentColumnFormsMax: limit(
    10_000,
    'count',
    'Columns of all versions of a dataset, in every type that they had, whose names are looked for in what is published to those who see less',
  ),
  documentHistoryAtOnceMax: limit(
    2,
    'count',
    'Snapshots that are saved, read or restored at once, each of which takes a few times the size of its document in memory',
  ),
  documentHistoryQueueMax: limit(32, 'count', 'Snapshots that wait to be saved, read or restored'),
  documentHistoryPerSubjectMax: limit(4, 'count', 'Snapshots that one person saves, reads or restores, those that wait included'),
  documentRemovedEntriesMax: limit(
    500,
    'count',
    'Removed entries and replies of one document that are remembered, so that undo brings back those of others',
  ),
  documentRemovedBytesMax: limit(8 * MiB, 'bytes', 'The same in bytes of JSON, since a note with its replies may have megabytes'),
  awarenessIntervalMs: limit(50, 'ms', 'One reader gets the presence of others at most once in this time'),
  awarenessFramesPerSecond: limit(
    2_000,
    'per second',
    'Presence of several people who move at once, to all readers of a document together: the more there are, the less often it goes out, but for what goes along with edits',
  ),
  awarenessGreetedMax: limit(20, 'count', 'Where more channels of a document are open, who comes is told of like presence that is only renewed'),
  awarenessRenewalMs: limit(3 * SECOND, 'ms', 'Presence that is only renewed goes on with the next that changed, or after this time'),
  awarenessQueuedBytesMax: limit(64 * KiB, 'bytes', 'A reader for whom more waits gets no presence until it has caught up'),
  awarenessMessagesPerSecond: limit(100, 'per second', 'Presence messages of one connection'),
  awarenessClientsMax: limit(16, 'count', 'Yjs clients whose presence one channel tells'),
  awarenessKeepMs: limit(30 * SECOND, 'ms', 'Presence that was not renewed for so long is forgotten; clients renew it twice in that time'),

  // Tables
  memoryTableRowsMax: limit(
    10_000,
    'count',
    'Rows up to which a table whose engine is not chosen is held in memory; above, DuckDB pivots faster and shares what is equal',
  ),
  memoryTableCellBytes: limit(40, 'bytes', 'What a cell of a table in memory takes, about, before it is loaded and known'),
  memoryThreadsMax: limit(4, 'count', 'Threads that hold tables in memory; views of a table wait for those of others in the same thread'),
  memoryThreadBytesMax: limit(2 * GiB, 'bytes', 'Tables of one such thread; views need the rest'),
  memoryEngineBytesMax: limit(
    3 * GiB,
    'bytes',
    'Memory of one such thread, views included, from which on it makes no further view; it has 4 GiB before Node 24, of which one view or window may need the rest',
  ),
  memoryThreadIdleBytes: limit(256 * MiB, 'bytes', 'A thread whose memory has grown beyond this ends when it has no table, which gives it back'),
  uploadSourcesMax: limit(1_000, 'count', 'Uploaded files that were read as tables and are kept on disk for them'),
  tableBytesMax: limit(1 * GiB, 'bytes', 'Memory of one table, as far as its engine can tell'),
  tablesBytesMax: limit(2 * GiB, 'bytes', 'Memory of all tables; idle ones make room'),
  tablesMax: limit(1_000, 'count', 'Tables that are loaded at once'),
  tableLoadsMax: limit(4, 'count', 'Tables that are being loaded at once'),
  tableIdleMs: limit(10 * MINUTE, 'ms', 'A table that nobody used for so long is unloaded; it loads again when it is used'),
  tablesKnownMax: limit(10_000, 'count', 'Tables whose options are remembered, so that one that was unloaded can be used by its id'),
  tableIdsKeptMax: limit(2_000, 'count', 'Ids of tables that are kept with what they follow from, instead of being made again at every use'),
  tableHoldersMax: limit(10_000, 'count', 'Persons who opened one table and did not close it'),
  tableSessionsMax: limit(5_000, 'count', 'Channels and views of one table at once'),
  sessionViewsMax: limit(200, 'count', 'Views of one channel'),
  sessionRequestsMax: limit(512, 'count', 'Requests of one channel, or for one view over REST or RPC, that wait for their answer'),
  sessionCallbacksMax: limit(1_000, 'count', 'Callbacks that one channel registered'),
  viewsPerSubjectMax: limit(100, 'count', 'Views of one person over REST and RPC'),
  viewIdleMs: limit(10 * MINUTE, 'ms', 'A view over REST or RPC that was not used for so long ends'),
  viewRowsMax: limit(10_000, 'count', 'Rows of one window over REST or RPC'),
  viewCellsMax: limit(2_000_000, 'count', 'Cells of one window; more go through view.export'),
  viewBytesMax: limit(64 * MiB, 'bytes', 'One window: its texts where the engine has them, or all of it as it is sent'),
  viewEntriesMax: limit(200, 'count', 'Filters, sorts, expressions and windows of a view configuration, each'),
  viewValuesMax: limit(1_000, 'count', 'Values of one filter'),
  viewTextCharsMax: limit(10_000, 'chars', 'An expression, or a text of a filter'),
  viewTextGrowthMax: limit(1_000, 'count', 'How many times as long as the texts of a row one that an expression makes of them may become'),
  viewGroupsMax: limit(32, 'count', 'Columns of group_by, and of split_by'),
  viewExportRows: limit(20_000, 'count', 'Rows that an export reads from its view at a time'),

  // Backups
  backupPeriodMs: limit(
    HOUR,
    'ms',
    'The newest backup in the directory of the setting backupDir is of a moment at most so long ago; what happened since is lost with the disk',
  ),
  backupKeepMs: limit(30 * 24 * HOUR, 'ms', 'Every backup is kept for so long'),
  backupKeepDailyMs: limit(90 * 24 * HOUR, 'ms', 'The first backup of each day is kept for so long'),
  backupRecheckBytesMax: limit(2 * GiB, 'bytes', 'Files that a backup before copied, and that each backup reads again, in turn, to find damage'),

  // Retention
  removalGraceMs: limit(7 * 24 * HOUR, 'ms', 'What retention removed, and deleted datasets, can be brought back for so long; then their files go'),
  retentionPeriodMs: limit(HOUR, 'ms', 'Between rounds in which versions that policies do not keep are removed'),
  retentionStepVersionsMax: limit(1_000, 'count', 'Versions that are removed, or let go of their files, in one transaction'),
  condemnedObjectsMax: limit(
    50_000,
    'count',
    'Files that wait to be deleted, which every server reads; no more versions let go of theirs until some are gone',
  ),
  objectsDeletedMax: limit(1_000, 'count', 'Files that are deleted in one step'),
  fileReaderLeaseMs: limit(3 * MINUTE, 'ms', 'A server or backup that was not heard of for so long reads no files any more'),

  // Schedules
  schedulesPerDatasetMax: limit(200, 'count', 'Schedules of one dataset'),
  cronCharsMax: limit(100, 'chars', 'A cron expression'),
  exportDirectoryCharsMax: limit(200, 'chars', 'The directory that a schedule exports to'),
  webhookUrlCharsMax: limit(2_000, 'chars', 'The URL of a webhook'),
  webhookSecretCharsMax: limit(500, 'chars', 'The secret of a webhook, or what it wants as Authorization'),
  webhookTimeoutMs: limit(60 * SECOND, 'ms', 'A webhook that neither takes a byte nor answers for so long has failed'),
  webhookBytesPerSecondMin: limit(64 * KiB, 'bytes', 'A webhook that takes fewer than this a second, from when webhookTimeoutMs is over, has failed'),
  scheduleRunsAtOnceMax: limit(8, 'count', 'Exports of schedules that one server has under way at once, those that are being delivered included'),
  scheduleFilesAtOnceMax: limit(2, 'count', 'Files of schedules that one server makes at once'),
  scheduleRunTimeoutMs: limit(30 * MINUTE, 'ms', 'One try of an export from when its file begins to be made, its delivery included'),
  scheduleLeaseMs: limit(30 * SECOND, 'ms', 'A server that gives no sign of life for so long has lost its runs to the others'),
  scheduleAttemptsMax: limit(8, 'count', 'Tries of one run'),
  scheduleRetryMs: limit(30 * SECOND, 'ms', 'Between the first try of a run and the second; every further wait is twice as long'),
  scheduleRetryMsMax: limit(1 * HOUR, 'ms', 'Between two tries of a run, at most'),
  scheduleClaimsKeepMs: limit(90 * 24 * HOUR, 'ms', 'How long a schedule runs on the claims of the token that last made, changed or ran it'),
  scheduleRunsKept: limit(200, 'count', 'Runs of one schedule that its history has'),
  scheduleFilesKeptMax: limit(100, 'count', 'Files of one schedule that can be kept'),
  scheduleFileBytesMax: limit(8 * GiB, 'bytes', 'One exported file'),
  scheduleFilesBytesMax: limit(100 * GiB, 'bytes', 'All files of schedules that are kept'),

  // Alerts and maintenance
  alertPeriodMs: limit(5 * SECOND, 'ms', 'The alerts look this often'),
  alertMemoryPercent: limit(80, 'percent', 'high_memory_usage: above this part of tablesBytesMax idle tables go, then no new ones come; 0: off'),
  alertVersionCreationMs: limit(30 * SECOND, 'ms', 'slow_version_creation: the 95th percentile of the time that a version takes; 0: off'),
  alertVersionWindowMs: limit(10 * MINUTE, 'ms', 'The versions of so long count for slow_version_creation'),
  alertDenialsPerMinute: limit(10, 'per minute', 'permission_denial_spike: refusals of everybody together; 0: the alert is off'),
  alertDenialsPerCallerPerMinute: limit(10, 'per minute', 'permission_denial_spike: refusals of one person or address; 0: only all together count'),
  alertTightRequestsPerSecond: limit(50, 'per second', 'Requests of persons and addresses that made a spike of refusals'),
  alertTightMs: limit(10 * MINUTE, 'ms', 'They are held to it for so long'),
  alertsKeptMax: limit(100, 'count', 'Beginnings and ends of alerts that admin.alerts shows'),
  denialKeysMax: limit(1_000, 'count', 'Persons, and addresses, whose refusals are told apart within five seconds'),
  alertWebhookQueueMax: limit(100, 'count', 'Messages that wait for the webhook before the oldest is dropped'),
  alertWebhookAttemptsMax: limit(8, 'count', 'Times that a message to the webhook is tried'),
  alertWebhookBackoffMs: limit(1 * SECOND, 'ms', 'Before the second attempt; every further one waits twice as long'),
  alertWebhookTimeoutMs: limit(10 * SECOND, 'ms', 'One attempt'),
  tracePercent: limit(100, 'percent', 'Operations that are traced, where there is an endpoint for traces'),
  traceQueueMax: limit(2_048, 'count', 'Spans that wait to be sent; further ones are dropped'),
  savedTablesPeriodMs: limit(1 * MINUTE, 'ms', 'The list of open tables is saved this often'),
  preloadTablesMax: limit(100, 'count', 'Saved tables that are loaded again after maintenance or a restart, those used last'),

  // Engines
  databasePoolMax: limit(10, 'count', 'PostgreSQL connections'),
  databaseQueueMax: limit(10_000, 'count', 'Requests that wait for a PostgreSQL connection'),
  statementTimeoutMs: limit(30 * SECOND, 'ms', 'One PostgreSQL statement'),
  duckdbMemoryBytes: limit(768 * MiB, 'bytes', 'What DuckDB is told it may use; it exceeds this up to twofold'),
  duckdbSpillBytesMax: limit(50 * GiB, 'bytes', 'The spill directory of DuckDB'),
  duckdbQueriesMax: limit(4, 'count', 'Queries of DuckDB that run at once; below the thread pool, or they starve file access'),
  duckdbQueueMax: limit(1_000, 'count', 'Queries that wait for DuckDB'),
  duckdbTablesMemoryBytes: limit(
    512 * MiB,
    'bytes',
    'What DuckDB is told that shared tables may use for what their views came to; more goes to disk',
  ),
  duckdbTablesSpillBytesMax: limit(20 * GiB, 'bytes', 'Results of views of shared tables on disk'),
  duckdbTablesCellsBytesMax: limit(
    96 * MiB,
    'bytes',
    'Results of views of shared tables that are kept ready for windows; others are read out of DuckDB',
  ),
  duckdbTablesViewsBytesMax: limit(
    256 * MiB,
    'bytes',
    'What views of shared tables on DuckDB keep beside their results: configurations, and which rows are open, a quarter of it of one person; what is equal counts once',
  ),
  duckdbTablesColumnsBytesMax: limit(
    192 * MiB,
    'bytes',
    'Columns of shared tables that views use again and again, decoded, within duckdbTablesMemoryBytes; 0: none is kept',
  ),
  duckdbTablesQueriesMax: limit(
    4,
    'count',
    'Queries of views of shared tables that run at once, a thread each, and at most as many as there are cores and never fewer than two; one place is kept for windows',
  ),
  duckdbTablesResultsMax: limit(
    2_000,
    'count',
    'Different view configurations of shared tables on DuckDB at once, a quarter of them of one person; equal ones count once, rows as they are not at all',
  ),
  viewColumnsMax: limit(20_000, 'count', 'Columns of one view, which a split multiplies'),
  threadPoolSize: limit(12, 'count', 'libuv threads: DuckDB queries, file access, compression'),

  // Caches
  versionCacheMax: limit(10_000, 'count', 'Version records, which never change'),
  scopedCountCacheMax: limit(100_000, 'count', 'Versions whose visible rows were counted, by scope'),
  grantLoadsAtOnceMax: limit(50, 'count', 'Datasets whose grants are read in one statement, when many are asked for at once'),
  grantCacheMax: limit(10_000, 'count', 'Datasets whose grants are kept in memory'),
} as const satisfies Record<string, Limit>;

export type LimitName = keyof typeof LIMITS;
export type Limits = { readonly [Name in LimitName]: number };

/** Relations between limits that must hold whatever an operator sets. */
const RELATIONS: readonly { readonly text: string; readonly holds: (limits: Limits) => boolean }[] = [
  { text: 'helloBytesMax <= frameBytesMax', holds: (l) => l.helloBytesMax <= l.frameBytesMax },
  { text: 'tokenCharsMax < helloBytesMax', holds: (l) => l.tokenCharsMax < l.helloBytesMax },
  { text: 'fragmentBytes < frameBytesMax', holds: (l) => l.fragmentBytes < l.frameBytesMax },
  { text: 'frameBytesMax <= requestBytesMax', holds: (l) => l.frameBytesMax <= l.requestBytesMax },
  { text: 'fragmentBytes <= streamCreditBytes', holds: (l) => l.fragmentBytes <= l.streamCreditBytes },
  { text: 'pageBytesMax < outboxBytesMax', holds: (l) => l.pageBytesMax < l.outboxBytesMax },
  { text: 'channelOutboxBytesMax <= outboxBytesMax', holds: (l) => l.channelOutboxBytesMax <= l.outboxBytesMax },
  {
    text: 'documentToldClientsKeptMax <= documentToldClientsMax',
    holds: (l) => l.documentToldClientsKeptMax <= l.documentToldClientsMax,
  },
  { text: 'documentUpdateBytesMax <= documentBytesMax', holds: (l) => l.documentUpdateBytesMax <= l.documentBytesMax },
  {
    text: 'documentHistoryPerSubjectMax <= documentHistoryQueueMax',
    holds: (l) => l.documentHistoryPerSubjectMax <= l.documentHistoryQueueMax,
  },
  { text: 'awarenessRenewalMs < awarenessKeepMs / 2', holds: (l) => l.awarenessRenewalMs < l.awarenessKeepMs / 2 },
  { text: 'awarenessStateBytesMax < documentUpdateBytesMax', holds: (l) => l.awarenessStateBytesMax < l.documentUpdateBytesMax },
  { text: 'tableBytesMax <= memoryThreadBytesMax', holds: (l) => l.tableBytesMax <= l.memoryThreadBytesMax },
  { text: 'memoryThreadBytesMax <= memoryEngineBytesMax', holds: (l) => l.memoryThreadBytesMax <= l.memoryEngineBytesMax },
  { text: 'tableBytesMax <= tablesBytesMax', holds: (l) => l.tableBytesMax <= l.tablesBytesMax },
  { text: 'viewRowsMax <= viewCellsMax', holds: (l) => l.viewRowsMax <= l.viewCellsMax },
  {
    text: 'duckdbQueriesMax + duckdbTablesQueriesMax < threadPoolSize',
    holds: (l) => l.duckdbQueriesMax + l.duckdbTablesQueriesMax < l.threadPoolSize,
  },
  { text: 'duckdbTablesColumnsBytesMax <= duckdbTablesMemoryBytes', holds: (l) => l.duckdbTablesColumnsBytesMax <= l.duckdbTablesMemoryBytes },
  { text: 'pageItemsDefault <= pageItemsMax', holds: (l) => l.pageItemsDefault <= l.pageItemsMax },
  { text: 'uploadBytesMax <= uploadExpandedBytesMax', holds: (l) => l.uploadBytesMax <= l.uploadExpandedBytesMax },
  { text: 'scheduleRetryMs <= scheduleRetryMsMax', holds: (l) => l.scheduleRetryMs <= l.scheduleRetryMsMax },
  { text: 'scheduleFileBytesMax <= scheduleFilesBytesMax', holds: (l) => l.scheduleFileBytesMax <= l.scheduleFilesBytesMax },
  { text: 'backupKeepMs <= backupKeepDailyMs', holds: (l) => l.backupKeepMs <= l.backupKeepDailyMs },
  { text: 'retentionStepVersionsMax <= condemnedObjectsMax', holds: (l) => l.retentionStepVersionsMax <= l.condemnedObjectsMax },
  { text: 'manifestSmallFilesMax < manifestFilesMax', holds: (l) => l.manifestSmallFilesMax < l.manifestFilesMax },
];

/** The limits with some overridden; throws when a value or a relation between values makes no sense. */
export function resolveLimits(overrides: Partial<Record<LimitName, number>> = {}): Limits {
  const resolved = Object.fromEntries(Object.entries(LIMITS).map(([name, { value }]) => [name, overrides[name as LimitName] ?? value])) as Limits;
  for (const [name, value] of Object.entries(resolved)) {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`limit ${name} must be a whole number of at least 0, not ${value}`);
  }
  const broken = RELATIONS.filter(({ holds }) => !holds(resolved));
  if (broken.length > 0) throw new RangeError(`limits contradict each other: ${broken.map(({ text }) => text).join(', ')}`);
  return resolved;
}

export const defaultLimits: Limits = resolveLimits();
