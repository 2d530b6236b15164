import type { CallOptions, PagedMethod, PageInput, PageOutput } from './types.ts';

/** Every page from the given one on. */
export async function* pages<I extends PageInput, P extends PageOutput>(
  method: PagedMethod<I, P>,
  input: I,
  options?: CallOptions,
): AsyncGenerator<P, void, undefined> {
  let next: string | undefined = input.cursor;
  do {
    const page: P = await method(next === undefined ? input : { ...input, cursor: next }, options);
    yield page;
    next = page.next;
  } while (next !== undefined);
}

/** Every item of every page. */
export async function* items<I extends PageInput, Item>(
  method: PagedMethod<I, PageOutput & { readonly items: readonly Item[] }>,
  input: I,
  options?: CallOptions,
): AsyncGenerator<Item, void, undefined> {
  for await (const page of pages(method, input, options)) yield* page.items;
}
