import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { type DatasetId, datasetId, type TableId, tableId, uploadId, versionId, versionOfTable } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { columnName, ref } from '../names.ts';
import { empty, instant, page, pageInput } from './shared.ts';
import { conversion } from './version.ts';

export const ENGINES = ['memory', 'duckdb'] as const;
export const DIALECTS = ['exprtk', 'sql'] as const;
export const PERSPECTIVE_TYPES = ['string', 'date', 'datetime', 'integer', 'float', 'boolean'] as const;

/** In the order of the columns. */
export const tableSchema = z.array(z.object({ name: z.string(), type: z.enum(PERSPECTIVE_TYPES) }));

const table = z.object({
  tableId,
  datasetId: datasetId.nullable().describe('null: made of an upload'),
  versionId: versionId.nullable(),
  engine: z.enum(ENGINES),
  dialect: z.enum(DIALECTS).describe('The language of expressions in view configurations; who reads sql reads exprtk too'),
  rows: z.int(),
  totalRows: z.int().describe('Rows without the limit; only those that the caller may see count'),
  truncated: z.boolean().describe('Whether the limit left rows out'),
  schema: tableSchema,
});

const uploadTable = table.extend({ conversion: conversion.describe('Whether every row of the file could be read, and which could not') });

const openTable = table.extend({
  bytes: z.int().describe('What it takes of memory, about'),
  connections: z.int().describe('Channels and views of everybody that use it now'),
  loadTimeMs: z.number(),
  openedAt: instant,
  lastUsedAt: instant,
});

const options = {
  columns: z
    .array(columnName)
    .min(1)
    .max(defaultLimits.columnsMax)
    .optional()
    .describe('Columns of the table, in order; absent: all that are visible'),
  rowLimit: z.int().min(1).optional().describe('At most so many rows, the first of the version'),
  engine: z
    .enum(['auto', ...ENGINES])
    .default('auto')
    .describe('auto: by the number of rows, and the language of the expressions'),
  dialect: z
    .enum(DIALECTS)
    .optional()
    .describe('Language of the expressions that views will have, as a saved view says; auto takes an engine that reads it'),
};

/** A table of a dataset needs its permission; one of an upload is its owner's alone, which the service sees to. */
export const readsTable = {
  action: 'read',
  on: (input: { tableId: TableId }): DatasetId | null => versionOfTable(input.tableId)?.datasetId ?? null,
} as const;

const EXAMPLE_ID = 'dataset_1_v1_0123456789abcdef0123456789abcdef';

export const tableOperations = {
  // No command: what opens a table twice gets the same one.
  open: operation({
    kind: 'query',
    summary: 'Open a version as a table that everybody shares who sees the same of it',
    input: z.object({ datasetId, ref, ...options }),
    output: table,
    duration: 'long',
    errors: ['unprocessable_data', 'memory_limit'],
    permission: { action: 'read', on: (input) => input.datasetId },
    audit: 'access',
    http: { method: 'POST', path: '/api/explore/{datasetId}/{ref}/perspective' },
    example: { input: { datasetId: 1, ref: 'main' } },
  }),
  openUpload: operation({
    kind: 'query',
    summary: 'Open an uploaded file as a table of one’s own, without making a version of it',
    input: z.object({ uploadId, ...options }),
    output: uploadTable,
    duration: 'long',
    errors: ['conflict', 'unprocessable_data', 'payload_too_large', 'memory_limit'],
    permission: { action: 'authenticated' },
    audit: 'access',
    http: { method: 'POST', path: '/api/explore/uploads/{uploadId}/perspective' },
    example: { input: { uploadId: '5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e' } },
  }),
  get: operation({
    kind: 'query',
    summary: 'Read what an open table is and who uses it',
    input: z.object({ tableId }),
    output: openTable,
    errors: [],
    permission: readsTable,
    http: { method: 'GET', path: '/api/explore/perspective/table/{tableId}' },
    example: { input: { tableId: EXAMPLE_ID } },
  }),
  list: operation({
    kind: 'query',
    summary: 'List the open tables that the caller opened and may see; server admins see all',
    input: z.object({ datasetId: datasetId.optional(), ...pageInput }),
    output: page(openTable),
    errors: [],
    permission: { action: 'authenticated' },
    http: { method: 'GET', path: '/api/explore/perspective/tables' },
    example: { input: {} },
  }),
  close: operation({
    kind: 'command',
    summary: 'Say that the caller needs the table no more; others keep it',
    input: z.object({ tableId }),
    output: empty,
    errors: [],
    permission: readsTable,
    audit: 'access',
    http: { method: 'DELETE', path: '/api/explore/perspective/table/{tableId}', status: 204 },
    example: { input: { tableId: EXAMPLE_ID } },
  }),
  connect: operation({
    kind: 'channel',
    summary: 'Speak Perspective’s protocol about an open table',
    input: z.object({ tableId }),
    output: z.object({ tableId }),
    errors: ['memory_limit'],
    permission: readsTable,
    audit: 'access',
    socket: { prefix: '/perspective/', field: 'tableId' },
    example: { input: { tableId: EXAMPLE_ID } },
  }),
};

export type TableInfo = z.output<typeof table>;
export type UploadTableInfo = z.output<typeof uploadTable>;
export type OpenTableInfo = z.output<typeof openTable>;
