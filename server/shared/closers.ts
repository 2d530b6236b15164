/** Things to stop, last started first. One that fails to stop does not keep the others from stopping. */
export class Closers {
  readonly #closers: (() => Promise<void> | void)[] = [];
  readonly #slow: (() => Promise<void>)[] = [];

  add(close: () => Promise<void> | void): void {
    this.#closers.push(close);
  }

  /** For what takes its time to stop, and can begin with it while others still finish. It is stopped once. */
  addSlow(close: () => Promise<void>): void {
    let closing: Promise<void> | undefined;
    const closeOnce = (): Promise<void> => {
      closing ??= close();
      return closing;
    };
    this.#slow.push(closeOnce);
    this.add(closeOnce);
  }

  /** Begins to stop what takes its time. Whoever closes waits for it, and is told what failed. */
  begin(): void {
    for (const close of this.#slow) close().catch(() => undefined);
  }

  async close(): Promise<void> {
    const faults: unknown[] = [];
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close();
      } catch (fault) {
        faults.push(fault);
      }
    }
    if (faults.length > 0) throw new AggregateError(faults, 'not everything could be stopped');
  }
}
