/** Why a request cannot be served, in words for the person who made it. Nothing in them is data. */
export class ViewFault extends Error {
  override readonly name = 'ViewFault';
  readonly isViewMissing: boolean;

  constructor(message: string, { isViewMissing = false } = {}) {
    super(message);
    this.isViewMissing = isViewMissing;
  }
}
