import type { StatusCode } from '../../shared/perspective/types.ts';

/** What is wrong with a request, in words for whoever sent it. */
export class RequestFault extends Error {
  override readonly name = 'RequestFault';
  readonly status: StatusCode;

  constructor(message: string, status: StatusCode = 'server_error') {
    super(message);
    this.status = status;
  }
}
