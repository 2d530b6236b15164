import { type Access, type App, type Branch, collect, type Dataset, type Tag } from '../app/app.ts';
import { linkTo } from '../app/route.ts';
import type { Drawing } from '../explore/drawing.ts';
import { Resource } from '../ui/resource.ts';
import { Signal } from '../ui/signal.ts';
import { openUpload } from '../upload/upload-dialog.ts';

/** More branches or tags than this are reached by typing their name. */
const POINTERS_MAX = 1_000;

type Permission = NonNullable<Access['permission']>;
const RANKS: readonly Permission[] = ['read', 'write', 'admin'];

/** What the pages of one dataset share. */
export interface DatasetContext {
  readonly app: App;
  readonly datasetId: number;
  readonly life: AbortSignal;
  readonly dataset: Resource<Dataset>;
  readonly access: Resource<Access>;
  readonly branches: Resource<Branch[]>;
  readonly tags: Resource<Tag[]>;
  /** Rises whenever anybody changed anything of the dataset. */
  readonly changes: Signal<number>;
  /** What is drawn when exploring; it stays while one looks at other pages of the dataset. */
  readonly drawing: Signal<Drawing | undefined>;
  /** Which ref and saved view were explored last, so that one comes back to them. */
  readonly exploring: Signal<Readonly<Record<string, string | undefined>>>;
  /** Whether the caller may do what asks for this permission; a server that knows better refuses. */
  may(permission: Permission): boolean;
  link(tab: string, query?: Readonly<Record<string, string | undefined>>): string;
  upload(files: readonly File[], branch?: string): void;
}

export function openContext(app: App, datasetId: number, life: AbortSignal): DatasetContext {
  const { client } = app;
  const dataset = new Resource(life, (signal) => client.dataset.get({ datasetId }, { signal }));
  const access = new Resource(life, (signal) => client.access.get({ datasetId }, { signal }));
  const branches = new Resource(life, (signal) => collect(client.items(client.branch.list, { datasetId, limit: 200 }, { signal }), POINTERS_MAX));
  const tags = new Resource(life, (signal) => collect(client.items(client.tag.list, { datasetId, limit: 200 }, { signal }), POINTERS_MAX));
  const changes = new Signal(0);
  changes.watch(life, (count) => {
    if (count > 0) for (const resource of [dataset, access, branches, tags]) void resource.reload();
  });
  void follow(app, datasetId, changes, life);
  return {
    app,
    datasetId,
    life,
    dataset,
    access,
    branches,
    tags,
    changes,
    drawing: new Signal<Drawing | undefined>(undefined),
    exploring: new Signal<Readonly<Record<string, string | undefined>>>({}),
    may: (permission) => RANKS.indexOf(access.latest?.permission ?? 'read') >= RANKS.indexOf(permission),
    link: (tab, query) => linkTo(['datasets', datasetId, tab], query),
    upload: (files, branch = 'main') => {
      const names = branches.latest?.map(({ name }) => name) ?? [];
      const target = { datasetId, branch, branches: names, hasKey: dataset.latest?.key != null };
      void openUpload({ app, files, target });
    },
  };
}

/** Follows what anybody does to the dataset; the stream resumes by itself when the server was away. */
async function follow({ client }: App, datasetId: number, changes: Signal<number>, life: AbortSignal): Promise<void> {
  try {
    for await (const _event of client.dataset.watch({ datasetId }, { signal: life })) changes.set(changes.value + 1);
  } catch {
    // The dataset or the permission is gone: the pages ask again and say so.
    if (!life.aborted) changes.set(changes.value + 1);
  }
}
