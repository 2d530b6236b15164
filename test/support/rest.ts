/** What a plain HTTP client sees. */
export interface RestAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The JSON body; undefined when there is none or it is something else. */
  readonly body: never;
  readonly bytes: Uint8Array;
}

export interface Rest {
  get(path: string, headers?: Record<string, string>): Promise<RestAnswer>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<RestAnswer>;
  send(
    method: string,
    path: string,
    options?: { readonly body?: string | Uint8Array; readonly headers?: Record<string, string> },
  ): Promise<RestAnswer>;
}

/** A caller of REST with a token; no token when it is empty. */
export function restClient(url: string, token: string): Rest {
  const send: Rest['send'] = async (method, path, { body, headers } = {}) => {
    const authorization: Record<string, string> = token === '' ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { ...authorization, ...headers },
      ...(body === undefined ? {} : { body: body as BodyInit }),
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true && bytes.length > 0;
    return {
      status: response.status,
      headers: response.headers,
      bytes,
      body: (isJson ? JSON.parse(new TextDecoder().decode(bytes)) : undefined) as never,
    };
  };
  return {
    send,
    get: (path, headers) => send('GET', path, { headers: headers ?? {} }),
    post: (path, body, headers) => send('POST', path, { body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } }),
  };
}
