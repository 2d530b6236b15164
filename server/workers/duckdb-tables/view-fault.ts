import type { StatusCode } from '../../shared/perspective/types.ts';

/** Why a request cannot be served, in words for the person who made it. Nothing in them is data. */
export class ViewFault extends Error {
  override readonly name = 'ViewFault';
  readonly status: StatusCode;

  constructor(message: string, status: StatusCode = 'server_error') {
    super(message);
    this.status = status;
  }
}
