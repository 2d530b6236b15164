import { CovistaError } from '../../../protocol/errors.ts';

/** What `read` answers, or what is damaged of the backup. */
export async function unlessDamaged<Result extends object>(read: () => Promise<Result>): Promise<Result | { readonly damage: string }> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof CovistaError && error.code === 'unprocessable_data') return { damage: error.message };
    throw error;
  }
}
