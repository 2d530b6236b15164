import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { datasetId, runId, scheduleId, versionId } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { plainText, pointerName } from '../names.ts';
import { bytes, empty, instant, page, pageInput } from './shared.ts';
import { ENGINES } from './table.ts';
import { fileHead } from './version.ts';
import { config, EXPORT_FORMATS } from './view.ts';

export const RUN_STATES = ['waiting', 'running', 'succeeded', 'failed', 'skipped'] as const;
export const PAUSE_REASONS = ['asked', 'revoked', 'claims_expired', 'permission_lost'] as const;

function isTimeZone(timeZone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return true;
  } catch {
    return false;
  }
}

const cron = z
  .string()
  .max(defaultLimits.cronCharsMax)
  .regex(/^(@(hourly|daily|weekly|monthly|yearly)|[^\s@]+( [^\s@]+){4})$/, 'must be minute, hour, day, month and weekday, or @daily and the like')
  .describe('When: minute, hour, day of month, month and day of week, or @hourly, @daily, @weekly, @monthly, @yearly');
const timeZone = z.string().max(64).refine(isTimeZone, 'must be a time zone such as Europe/Berlin').describe('IANA time zone of the cron expression');

const directory = z
  .string()
  .max(defaultLimits.exportDirectoryCharsMax)
  .regex(
    /^[\p{L}\p{N}_-][\p{L}\p{N}_. -]*(\/[\p{L}\p{N}_-][\p{L}\p{N}_. -]*)*$/u,
    'must be names of letters, digits, - _ . and spaces, with slashes between',
  )
  .refine((path) => !path.includes('..') && !/[. ](\/|$)/.test(path), 'must not contain ".." nor names that end with a dot or a space');

const header = z
  .string()
  .max(defaultLimits.webhookSecretCharsMax)
  .regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/, 'must be printable ASCII');

const destination = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('directory'), directory: directory.describe('Below exports/{datasetId} of the data directory') }),
  z.strictObject({
    kind: z.literal('webhook'),
    url: z
      .url({ protocol: /^https?$/ })
      .max(defaultLimits.webhookUrlCharsMax)
      .refine((url) => URL.canParse(url) && new URL(url).username === '' && new URL(url).password === '', 'must not contain a user or password'),
    method: z.enum(['POST', 'PUT']).default('POST'),
    secret: header.min(16).describe('Key of the signature, as of Standard Webhooks: base64 behind `whsec_`, or the text itself. Never shown again'),
    authorization: header.optional().describe('Sent as the header Authorization. Never shown again'),
  }),
]);

const shownDestination = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('directory'), directory: z.string() }),
  z.object({
    kind: z.literal('webhook'),
    url: z.string().describe('Without its query, which may be a secret'),
    method: z.enum(['POST', 'PUT']),
    hasAuthorization: z.boolean(),
  }),
]);

const name = plainText(200).min(1);
const engine = z.enum(['auto', ...ENGINES]).describe('Engine of the table; where a saved view has expressions, that which reads them');
const savedView = z.string().min(1).max(100).describe('Id of a view in the document of the dataset, as it is at the time of the run');
const filesKept = z.int().min(1).max(defaultLimits.scheduleFilesKeptMax).describe('How many files a schedule into a directory keeps, the newest');
const REF_KINDS = ['tag', 'branch'] as const;

export const run = z.object({
  runId,
  scheduleId,
  cause: z.enum(['cron', 'asked']),
  dueAt: instant,
  state: z.enum(RUN_STATES),
  attempts: z.int(),
  retryAt: instant.nullable().describe('When it is tried again'),
  startedAt: instant.nullable(),
  finishedAt: instant.nullable(),
  versionId: versionId.nullable(),
  rows: z.int().nullable(),
  bytes: z.int().nullable(),
  sha256: z.string().nullable(),
  place: z.string().nullable().describe('Where it went: a path below the data directory, or the URL of a webhook'),
  downloadable: z.boolean().describe('Whether its file is kept'),
  error: z.object({ code: z.string(), message: z.string() }).nullable().describe('Of the last try'),
});

export const schedule = z.object({
  scheduleId,
  datasetId,
  name: z.string(),
  owner: z.string().describe('As whom it runs'),
  ref: z.string(),
  refKind: z.enum(REF_KINDS),
  savedView: z.string().nullable(),
  config: config.nullable(),
  engine,
  cron: z.string(),
  timeZone: z.string(),
  format: z.enum(EXPORT_FORMATS),
  destination: shownDestination,
  filesKept: z.int(),
  nextAt: instant.nullable().describe('Null while it is paused, or if its time never comes'),
  paused: z.object({ at: instant, by: z.string(), reason: z.enum(PAUSE_REASONS) }).nullable(),
  claimsUntil: instant.describe('Until when it runs on the claims of its owner; changing, resuming or running it by its owner renews them'),
  lastRun: run.nullable(),
  createdAt: instant,
  updatedAt: instant,
});

const at = { datasetId, scheduleId };
const reads = { action: 'read', on: (input: { datasetId: z.output<typeof datasetId> }) => input.datasetId } as const;
const path = '/api/datasets/{datasetId}/schedules' as const;
const oneOf = <Input extends z.ZodObject>(input: Input): Input =>
  input.refine((given) => !((given as { savedView?: unknown }).savedView && (given as { config?: unknown }).config), {
    message: 'either savedView or config can be given',
    path: ['config'],
  });

export const scheduleOperations = {
  create: operation({
    kind: 'command',
    summary: 'Export a view of a tag or branch by the clock, as the caller, with what they may see at the time of the run',
    input: oneOf(
      z.object({
        datasetId,
        name,
        ref: pointerName,
        refKind: z.enum(REF_KINDS).default('tag').describe('A branch moves, so it must be named as one'),
        savedView: savedView.nullable().default(null),
        config: config.strict().nullable().default(null).describe('A view configuration; without it and a saved view: all rows'),
        engine: engine.default('auto'),
        cron,
        timeZone: timeZone.default('UTC'),
        format: z.enum(EXPORT_FORMATS),
        destination,
        filesKept: filesKept.default(10),
      }),
    ),
    output: schedule,
    errors: ['conflict', 'unprocessable_data'],
    permission: reads,
    http: { method: 'POST', path, status: 201 },
    example: {
      input: {
        datasetId: 1,
        name: 'Weekly names',
        ref: 'v1.0',
        config: { columns: ['name'] },
        cron: '0 6 * * 1',
        timeZone: 'Europe/Berlin',
        format: 'csv',
        destination: { kind: 'directory', directory: 'reports/weekly' },
      },
    },
  }),
  list: operation({
    kind: 'query',
    summary: 'List the schedules of a dataset that are the caller’s own; for its admins all',
    input: z.object({ datasetId, ...pageInput }),
    output: page(schedule),
    errors: [],
    permission: reads,
    http: { method: 'GET', path },
    example: { input: { datasetId: 1 } },
  }),
  get: operation({
    kind: 'query',
    summary: 'Read a schedule',
    input: z.object(at),
    output: schedule,
    errors: [],
    permission: reads,
    http: { method: 'GET', path: `${path}/{scheduleId}` },
    example: { input: { datasetId: 1, scheduleId: 1 } },
  }),
  update: operation({
    kind: 'command',
    summary: 'Change a schedule of the caller’s own; what is absent stays',
    input: oneOf(
      z.object({
        ...at,
        name: name.optional(),
        ref: pointerName.optional(),
        refKind: z.enum(REF_KINDS).optional(),
        savedView: savedView.nullable().optional(),
        config: config.strict().nullable().optional(),
        engine: engine.optional(),
        cron: cron.optional(),
        timeZone: timeZone.optional(),
        format: z.enum(EXPORT_FORMATS).optional(),
        destination: destination.optional().describe('Given, it is whole, with its secrets'),
        filesKept: filesKept.optional(),
      }),
    ),
    output: schedule,
    errors: ['unprocessable_data'],
    permission: reads,
    http: { method: 'PATCH', path: `${path}/{scheduleId}` },
    example: { input: { datasetId: 1, scheduleId: 1, cron: '30 7 * * 1-5' } },
  }),
  pause: operation({
    kind: 'command',
    summary: 'Let a schedule rest, by its owner or an admin; a run that is under way ends',
    input: z.object(at),
    output: schedule,
    errors: [],
    permission: reads,
    http: { method: 'POST', path: `${path}/{scheduleId}/pause` },
    example: { input: { datasetId: 1, scheduleId: 1 } },
  }),
  resume: operation({
    kind: 'command',
    summary: 'Let a schedule of the caller’s own go on, with the claims of this token',
    input: z.object(at),
    output: schedule,
    errors: [],
    permission: reads,
    http: { method: 'POST', path: `${path}/{scheduleId}/resume` },
    example: { input: { datasetId: 1, scheduleId: 1 } },
  }),
  run: operation({
    kind: 'command',
    summary: 'Run a schedule of the caller’s own now, also while it is paused',
    input: z.object(at),
    output: run,
    errors: ['conflict'],
    permission: reads,
    http: { method: 'POST', path: `${path}/{scheduleId}/runs`, status: 201 },
    example: { input: { datasetId: 1, scheduleId: 1 } },
  }),
  runs: operation({
    kind: 'query',
    summary: 'The runs of a schedule, newest first',
    input: z.object({ ...at, ...pageInput }),
    output: page(run),
    errors: [],
    permission: reads,
    http: { method: 'GET', path: `${path}/{scheduleId}/runs` },
    example: { input: { datasetId: 1, scheduleId: 1 } },
  }),
  download: operation({
    kind: 'stream',
    summary: 'Download the file of a run: first a head, then bytes. For admins, and for the owner while they see what it was made of',
    input: z.object({ ...at, runId }),
    output: z.union([fileHead, bytes]),
    errors: [],
    permission: reads,
    audit: 'access',
    http: { method: 'GET', path: `${path}/{scheduleId}/runs/{runId}/download`, response: 'file' },
    example: { input: { datasetId: 1, scheduleId: 1, runId: 1 } },
  }),
  delete: operation({
    kind: 'command',
    summary: 'Delete a schedule with its history and its files, by its owner or an admin',
    input: z.object(at),
    output: empty,
    errors: [],
    permission: reads,
    http: { method: 'DELETE', path: `${path}/{scheduleId}`, status: 204 },
    example: { input: { datasetId: 1, scheduleId: 1 } },
  }),
  times: operation({
    kind: 'query',
    summary: 'When a cron expression would run next',
    input: z.object({ datasetId, cron, timeZone: timeZone.default('UTC') }),
    output: z.object({ times: z.array(instant).describe('The next five, or fewer if there are fewer') }),
    errors: [],
    permission: reads,
    http: { method: 'GET', path: '/api/datasets/{datasetId}/schedule-times' },
    example: { input: { datasetId: 1, cron: '0 6 * * 1', timeZone: 'Europe/Berlin' } },
  }),
};

export type Schedule = z.output<typeof schedule>;
export type ScheduleRun = z.output<typeof run>;
export type ScheduleDestination = z.output<typeof destination>;
export type ShownDestination = z.output<typeof shownDestination>;
export type PauseReason = (typeof PAUSE_REASONS)[number];
