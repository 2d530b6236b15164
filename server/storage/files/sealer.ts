import { createHash } from 'node:crypto';
import { CovistaError } from '../../../protocol/errors.ts';
import { SealBroken, seal, unseal } from './sealed.ts';

const CONTEXT = 'covista schedule';

/** Seals short texts under a secret of the data directory, so that the database and its copies do not tell them. */
export function createSealer(secret: string): { seal(text: string): string; open(sealed: string): string } {
  const key = createHash('sha256').update(CONTEXT).update(secret).digest();
  return {
    seal: (text) => seal(key, CONTEXT, Buffer.from(text)).toString('base64'),
    open: (sealed) => {
      try {
        return unseal(key, CONTEXT, Buffer.from(sealed, 'base64')).toString();
      } catch (error) {
        if (!(error instanceof SealBroken)) throw error;
        throw new CovistaError(
          'unprocessable_data',
          'the secrets of the webhook cannot be read on this server; give the destination again',
          {},
          error,
        );
      }
    },
  };
}
