import { CovistaError } from '../../../protocol/errors.ts';

const NO_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Names a failure of the file system in the protocol's terms; other errors come back as they are. */
export function fileFault(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code !== undefined && NO_ROOM.has(code)) return new CovistaError('storage_full', 'the server has no room left to store this', {}, error);
  return error;
}
