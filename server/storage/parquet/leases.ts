import type { Content, ContentStore, ScopedContent } from '../content-store.ts';
import type { ObjectStore } from '../stores.ts';

type Lease = ObjectStore['lease'];

const pathsOf = (contents: readonly Pick<Content, 'files'>[]): string[] => contents.flatMap(({ files }) => files.map(({ path }) => path));

/**
 * A store that holds the files of what it reads for as long as it reads them. Every method is named, so that one that is
 * added has to say what it reads.
 */
export function holdingFiles(store: ContentStore, lease: Lease): ContentStore {
  const during = async <Result>(contents: readonly Pick<Content, 'files'>[], work: () => Promise<Result>): Promise<Result> => {
    const release = await lease(pathsOf(contents));
    try {
      return await work();
    } finally {
      release();
    }
  };
  const reading = <Result>({ content }: ScopedContent, work: () => Promise<Result>): Promise<Result> => during([content], work);
  return {
    ingest: (source, control) => store.ingest(source, control),
    checkFilter: (filter, schema, control) => store.checkFilter(filter, schema, control),
    close: () => store.close(),
    // What it has made takes leases of its own, later.
    prepareDiff: (content, key) => store.prepareDiff(content, key),
    merge: (content, control) => during([content], () => store.merge(content, control)),
    rewrite: (base, incoming, key, mode, control) => during([base, incoming], () => store.rewrite(base, incoming, key, mode, control)),
    rows: (source, window, control) => reading(source, () => store.rows(source, window, control)),
    tableArrow: (source, selection, control) => reading(source, () => store.tableArrow(source, selection, control)),
    count: (source, control) => reading(source, () => store.count(source, control)),
    statistics: (source, columns, control) => reading(source, () => store.statistics(source, columns, control)),
    diff: async (from, to, key, control) => {
      const sides = [from.content, to.content];
      const result = await during(sides, () => store.diff(from, to, key, control));
      return { ...result, page: (position, limit, pageControl) => during(sides, () => result.page(position, limit, pageControl)) };
    },
    export: (source, format, control) => exporting(lease, source, () => store.export(source, format, control)),
  };
}

/** A data file may itself be what is sent, so its lease lasts as long as the export. */
async function exporting(
  lease: Lease,
  { content }: ScopedContent,
  render: () => ReturnType<ContentStore['export']>,
): ReturnType<ContentStore['export']> {
  const release = await lease(pathsOf([content]));
  try {
    const exported = await render();
    return {
      ...exported,
      close: () => {
        exported.close();
        release();
      },
    };
  } catch (error) {
    release();
    throw error;
  }
}
