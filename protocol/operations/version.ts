import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { datasetId, versionId } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { columnName, pointerName, ref } from '../names.ts';
import { bytes, expectedHead, fileFormat, instant, key, message, page, pageInput, row, schema, sha256 } from './shared.ts';

export const COMMIT_MODES = ['replace', 'append', 'upsert', 'delete'] as const;
export const DOWNLOAD_FORMATS = ['parquet', 'csv', 'ndjson', 'arrow', 'original'] as const;
export const CONTENT_ENCODINGS = ['identity', 'gzip', 'zstd'] as const;

/** What is said of a file that becomes a version. */
export const fileOptions = {
  message: message.default(''),
  format: fileFormat.optional().describe('Absent: detected; given: the content must be of it'),
  strict: z.boolean().default(false).describe('Refuse the commit when any row cannot be read'),
  sha256: sha256.optional().describe('Refuse the commit when the bytes have another hash'),
  fileName: z
    .string()
    .min(1)
    .max(defaultLimits.fileNameCharsMax)
    .regex(/^[^\p{Cc}/\\]+$/u, 'must be a bare file name')
    .optional(),
};

/** What every way of committing to a dataset takes. */
export const commitOptions = {
  datasetId,
  branch: pointerName.describe('Created from the head of main when it does not exist'),
  mode: z.enum(COMMIT_MODES).default('replace').describe('replace the rows, append rows, upsert or delete rows by key'),
  key: key.optional().describe('Key columns of upsert and delete; absent: those of the dataset'),
  expectedHead: expectedHead.optional(),
  mergedFrom: ref.optional().describe('A ref whose version becomes the second parent'),
  ...fileOptions,
};

export const conversion = z.object({
  status: z.enum(['complete', 'partial', 'failed']),
  errorCount: z.int().nullable().describe('Rejected rows, of which `errors` lists the first; null, and none listed, unless everything is visible'),
  errors: z.array(
    z.object({
      line: z.int().nullable().describe('Line in the file, from 1'),
      column: z.string().nullable(),
      byte: z.int().nullable().describe('Offset in the decompressed file'),
      reason: z.string(),
    }),
  ),
});

export const version = z.object({
  datasetId,
  versionId,
  parents: z.array(versionId),
  generation: z.int().describe('Length of the longest path to a root; 0 for a root'),
  branch: z.string().describe('The branch it was committed to'),
  mode: z.enum([...COMMIT_MODES, 'restore']),
  message: z.string(),
  author: z.string(),
  createdAt: instant,
  rows: z.int().nullable().describe('Visible ones; null where nothing of the version is visible'),
  bytes: z.int().nullable().describe('Bytes of its data files, shared ones included; null unless everything is visible'),
  files: z.int().nullable().describe('Data files; null unless everything is visible'),
  schema: schema.describe('The visible columns'),
  key: z.array(z.string()).nullable().describe('Key columns at the time of the commit, if all are visible'),
  conversion,
  original: z
    .object({
      fileName: z.string().nullable(),
      format: fileFormat,
      compression: z.enum(['none', 'gzip', 'zstd']),
      bytes: z.int(),
      sha256,
    })
    .nullable()
    .describe('The file as it was uploaded; null unless everything is visible'),
  removedAt: instant.nullable().describe('When retention removed its data, of which nothing is to be had since; null: it is there'),
});

/** Who commits sees everything. */
export const committed = version.extend({
  rows: z.int(),
  bytes: z.int(),
  files: z.int(),
  conversion: conversion.extend({ errorCount: z.int() }),
  identical: z.boolean().describe('Whether the data is the same as that of its first parent'),
});

export const fileHead = z.object({
  contentType: z.string(),
  fileName: z.string(),
  bytes: z.int().nullable().describe('Bytes that follow; null where the encoding makes that unknown'),
  totalBytes: z.int().nullable().describe('Bytes of the whole file'),
  rangeStart: z.int().nullable().describe('First byte sent, of a range'),
  etag: z.string(),
  encoding: z.enum(CONTENT_ENCODINGS),
  lastModified: instant,
});

export type FileHead = z.output<typeof fileHead>;

const at = { datasetId, versionId };
const onDataset = { action: 'read', on: (input: { datasetId: z.output<typeof datasetId> }) => input.datasetId } as const;

export const versionOperations = {
  commit: operation({
    kind: 'command',
    summary: 'Make a version of the bytes that accompany the request, or of another version (`restore`), and move the branch to it',
    input: z.object({ ...commitOptions, restore: ref.optional().describe('Instead of a body: commit the content of this ref') }),
    output: committed,
    body: 'bytes',
    bodyHash: ({ restore }, { original }) => (restore === undefined && original !== null ? original.sha256 : null),
    errors: ['conflict', 'unprocessable_data', 'payload_too_large', 'memory_limit'],
    permission: { action: 'write', on: (input) => input.datasetId },
    http: { method: 'POST', path: '/api/datasets/{datasetId}/branches/{branch}/commit', status: 201 },
    example: { input: { datasetId: 1, branch: 'main', message: 'First upload' } },
  }),
  get: operation({
    kind: 'query',
    summary: 'Read the metadata of a version',
    input: z.object(at),
    output: version,
    errors: [],
    permission: onDataset,
    http: { method: 'GET', path: '/api/datasets/{datasetId}/versions/{versionId}' },
    example: { input: { datasetId: 1, versionId: 1 } },
  }),
  schema: operation({
    kind: 'query',
    summary: 'Read the columns of a version',
    input: z.object(at),
    output: z.object({ ...at, schema }),
    errors: [],
    permission: onDataset,
    http: { method: 'GET', path: '/api/datasets/{datasetId}/versions/{versionId}/schema' },
    example: { input: { datasetId: 1, versionId: 1 } },
  }),
  preview: operation({
    kind: 'query',
    summary: 'Read rows of a version, in manifest order',
    input: z.object({
      ...at,
      startRow: z.int().min(0).default(0),
      endRow: z.int().min(0).optional().describe('Exclusive; absent: one page'),
      columns: z.array(columnName).min(1).max(defaultLimits.columnsMax).optional(),
    }),
    output: z.object({
      schema,
      rows: z.array(row),
      startRow: z.int(),
      endRow: z.int(),
      totalRows: z.int(),
      truncated: z.boolean().describe('Fewer rows than asked for, because of a limit'),
    }),
    errors: ['unprocessable_data'],
    permission: onDataset,
    http: { method: 'GET', path: '/api/datasets/{datasetId}/versions/{versionId}/preview' },
    example: { input: { datasetId: 1, versionId: 1, startRow: 0, endRow: 5 } },
  }),
  statistics: operation({
    kind: 'query',
    summary: 'Statistics of each column of a version',
    input: z.object({ ...at, columns: z.array(columnName).min(1).max(defaultLimits.columnsMax).optional() }),
    output: z.object({
      rows: z.int(),
      columns: z.array(
        z.object({
          name: z.string(),
          type: z.string(),
          nulls: z.int(),
          distinct: z.int().describe('Approximate'),
          min: z.unknown(),
          max: z.unknown(),
          mean: z.number().nullable(),
          standardDeviation: z.number().nullable(),
        }),
      ),
    }),
    errors: ['unprocessable_data'],
    permission: onDataset,
    http: { method: 'GET', path: '/api/datasets/{datasetId}/versions/{versionId}/statistics' },
    example: { input: { datasetId: 1, versionId: 1 } },
  }),
  download: operation({
    kind: 'stream',
    summary: 'Download a version: first a head, then bytes',
    input: z.object({
      ...at,
      format: z.enum(DOWNLOAD_FORMATS).default('parquet'),
      encoding: z.enum(CONTENT_ENCODINGS).default('identity'),
      range: z
        .object({ start: z.int().min(0).optional(), end: z.int().min(0).optional() })
        .optional()
        .describe('Bytes from start to end, inclusive; without start, the last `end` bytes'),
    }),
    output: z.union([fileHead, bytes]),
    errors: ['unprocessable_data', 'range_not_satisfiable'],
    permission: onDataset,
    audit: 'access',
    http: {
      method: 'GET',
      path: '/api/datasets/{datasetId}/versions/{versionId}/download',
      response: 'file',
      headers: { encoding: 'accept-encoding', range: 'range' },
    },
    example: { input: { datasetId: 1, versionId: 1, format: 'csv' } },
  }),
  history: operation({
    kind: 'query',
    summary: 'List a version and its ancestors, newest generation first',
    input: z.object({ datasetId, ref: ref.default('main'), ...pageInput }),
    output: page(version),
    errors: [],
    permission: onDataset,
    http: { method: 'GET', path: '/api/datasets/{datasetId}/history' },
    example: { input: { datasetId: 1, ref: 'main' } },
  }),
};
