import { present } from '../shared/assert.ts';
import type { UploadRecord } from '../storage/stores.ts';
import { controlOf } from './context.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';
import { commitRequest, firstCommitRequest } from './version.ts';

export function uploadHandlers({ uploads, commits, limits }: Services): ResourceHandlers<'upload'> {
  const shown = ({ subject: _owner, ...upload }: UploadRecord) => ({ ...upload, chunkBytesMax: limits.uploadChunkBytesMax });
  return {
    begin: async ({ bytes, sha256, fileName }, { provenance }) =>
      shown(await uploads.begin({ bytes: bytes ?? null, sha256: sha256 ?? null, fileName: fileName ?? null }, provenance)),
    write: async ({ uploadId, offset }, { body, signal, provenance }) =>
      shown(await uploads.write(uploadId, offset, present(body, 'the body'), signal, provenance)),
    status: async ({ uploadId }, { actor }) => shown(await uploads.status(uploadId, actor.subject)),
    commit: ({ uploadId, ...options }, context) =>
      uploads.consume(uploadId, context.signal, context.provenance, (upload, staged) => {
        const request = commitRequest(options, { kind: 'upload', uploadId, staged }, context);
        return commits.commit({ ...request, fileName: request.fileName ?? upload.fileName }, controlOf(context));
      }),
    createDataset: ({ uploadId, name, description, labels, key, ...file }, context) =>
      uploads.consume(uploadId, context.signal, context.provenance, (upload, staged) => {
        const request = firstCommitRequest(
          { ...file, fileName: file.fileName ?? upload.fileName ?? undefined },
          { kind: 'upload', uploadId, staged },
          context,
        );
        return commits.commitFirst({ name, description, labels, key }, request, staged, controlOf(context));
      }),
    abort: async ({ uploadId }, { provenance }) => {
      await uploads.abort(uploadId, provenance);
      return {};
    },
  };
}
