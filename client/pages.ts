import type { CallOptions } from './types.ts';

/** A query that answers in pages, of which each names the `next`. */
export type PagedMethod<Page extends PageOutput = PageOutput> = (input: never, options?: CallOptions) => Promise<Page>;

export interface PageOutput {
  readonly next?: string | undefined;
}

/** What a paged query takes. */
export type PagedInput<Method extends PagedMethod> = NonNullable<Parameters<Method>[0]>;
type PageOf<Method extends PagedMethod> = Awaited<ReturnType<Method>>;

/** Every page from the given one on. */
export async function* pages<Method extends PagedMethod>(
  method: Method,
  input: PagedInput<Method>,
  options?: CallOptions,
): AsyncGenerator<PageOf<Method>, void, undefined> {
  let cursor: string | undefined;
  do {
    const page = (await method((cursor === undefined ? input : { ...(input as object), cursor }) as never, options)) as PageOf<Method>;
    yield page;
    cursor = page.next;
  } while (cursor !== undefined);
}

/** Every item of every page. */
export async function* items<Method extends PagedMethod<PageOutput & { readonly items: readonly unknown[] }>>(
  method: Method,
  input: PagedInput<Method>,
  options?: CallOptions,
): AsyncGenerator<PageOf<Method>['items'][number], void, undefined> {
  for await (const page of pages(method, input, options)) yield* page.items;
}
