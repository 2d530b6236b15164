import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { uploadId } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { plainTextFault } from '../names.ts';
import { newDataset } from './dataset.ts';
import { empty, instant, sha256 } from './shared.ts';
import { commitOptions, committed, fileOptions } from './version.ts';

export const fileName = z
  .string()
  .min(1)
  .max(defaultLimits.fileNameCharsMax)
  .refine(
    (name) => plainTextFault(name) === undefined && !/[\\/\n\r\t]/.test(name),
    'must be a bare file name without path separators or control characters',
  )
  .describe('Name of the file, kept for downloads; the format is detected from the content');

const upload = z.object({
  uploadId,
  offset: z.int().describe('Bytes received so far; the next write starts here'),
  bytes: z.int().nullable().describe('Announced size, if any'),
  sha256: sha256.nullable().describe('Announced hash, if any'),
  fileName: z.string().nullable(),
  chunkBytesMax: z.int().describe('Most bytes that one upload.write may carry'),
  createdAt: instant,
  expiresAt: instant.describe('An unfinished upload is removed then; every write postpones it'),
});

const one = z.object({ uploadId });

/** An upload belongs to the person who began it; to everybody else it does not exist. */
export const uploadOperations = {
  begin: operation({
    kind: 'command',
    summary: 'Begin a resumable upload',
    input: z.object({ bytes: z.int().min(0).optional(), sha256: sha256.optional(), fileName: fileName.optional() }),
    output: upload,
    errors: ['payload_too_large'],
    permission: { action: 'authenticated' },
    http: { method: 'POST', path: '/api/uploads', status: 201 },
    example: { input: { bytes: 12, fileName: 'orders.csv' } },
  }),
  write: operation({
    kind: 'command',
    summary: 'Append bytes at an offset, which must be what upload.status says',
    input: one.extend({ offset: z.int().min(0) }),
    output: upload,
    body: 'bytes',
    errors: ['conflict', 'payload_too_large'],
    permission: { action: 'authenticated' },
    audit: 'access',
    http: { method: 'PUT', path: '/api/uploads/{uploadId}' },
    example: { input: { uploadId: '5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e', offset: 0 } },
  }),
  status: operation({
    kind: 'query',
    summary: 'How much of an upload has arrived',
    input: one,
    output: upload,
    errors: [],
    permission: { action: 'authenticated' },
    http: { method: 'GET', path: '/api/uploads/{uploadId}' },
    example: { input: { uploadId: '5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e' } },
  }),
  commit: operation({
    kind: 'command',
    summary: 'Make the uploaded file a version; the upload ends with it',
    input: one.extend(commitOptions),
    output: committed,
    duration: 'long',
    errors: ['conflict', 'unprocessable_data', 'payload_too_large', 'memory_limit'],
    permission: { action: 'write', on: (input) => input.datasetId },
    http: { method: 'POST', path: '/api/uploads/{uploadId}/commit', status: 201 },
    example: { input: { uploadId: '5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e', datasetId: 1, branch: 'main' } },
  }),
  createDataset: operation({
    kind: 'command',
    summary: 'Make a dataset of the uploaded file, which becomes its first version, on main: both or neither; the upload ends with it',
    input: one.extend({ ...newDataset, ...fileOptions }),
    output: committed,
    duration: 'long',
    errors: ['conflict', 'unprocessable_data', 'payload_too_large', 'memory_limit'],
    permission: { action: 'authenticated' },
    http: { method: 'POST', path: '/api/uploads/{uploadId}/dataset', status: 201 },
    example: { input: { uploadId: '5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e', name: 'Orders', key: ['id'] } },
  }),
  abort: operation({
    kind: 'command',
    summary: 'Drop an unfinished upload and its bytes',
    input: one,
    output: empty,
    errors: [],
    permission: { action: 'authenticated' },
    http: { method: 'DELETE', path: '/api/uploads/{uploadId}', status: 204 },
    example: { input: { uploadId: '5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e' } },
  }),
};

export type UploadStatus = z.output<typeof upload>;
