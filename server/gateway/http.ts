/** HTTP as the gateway sees it, whatever engine carries it. */
export interface HttpRequest {
  /** In upper case. */
  readonly method: string;
  /** Still percent-encoded, without the query. */
  readonly path: string;
  /** Still percent-encoded, without the question mark. */
  readonly query: string;
  readonly address: string;
  /** The value of a header by its lower-case name; the empty text when it is absent. */
  header(name: string): string;
  /** The body; it is read at the reader's pace. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Runs when the client goes away before the response is complete. */
  onAbort(run: () => void): void;
  /** Runs when the server stops while the response is under way. */
  onDrain(run: () => void): void;
  /** Runs once when the response is complete, or never will be. */
  onEnd(run: () => void): void;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: HttpBody;
}

export type HttpBody =
  /** `bytes`: the length that is announced (of HEAD); absent: none is. */
  | { readonly kind: 'none'; readonly bytes?: number }
  | { readonly kind: 'whole'; readonly content: Uint8Array | string }
  /** `bytes` null: unknown beforehand. A fault in the middle cuts the connection, so that nobody takes the part for the whole. */
  | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Uint8Array>; readonly bytes: number | null };

export interface HttpFace {
  handle(request: HttpRequest): Promise<HttpResponse>;
}
