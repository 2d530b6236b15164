import type { Client } from '../../index.ts';
import type { Branch, Version } from '../app/app.ts';

/** Branches whose histories are drawn at once, those that moved last first. */
const BRANCHES_MAX = 12;
const PAGE_ITEMS = 40;

interface Source {
  readonly pages: AsyncIterator<{ readonly items: readonly Version[] }>;
  /** The generation down to which it is known; null: to its root. */
  generation: number | null;
}

/** The histories of several branches as one, from the newest on. */
export class BranchHistories {
  readonly #sources: readonly Source[];
  readonly #versions = new Map<number, Version>();

  constructor(client: Client, datasetId: number, branches: readonly Branch[], signal: AbortSignal) {
    const newest = branches.toSorted((a, b) => Date.parse(b.movedAt) - Date.parse(a.movedAt)).slice(0, BRANCHES_MAX);
    this.#sources = newest.map(({ name }) => ({
      pages: client.pages(client.version.history, { datasetId, ref: name, limit: PAGE_ITEMS }, { signal }),
      generation: Number.POSITIVE_INFINITY,
    }));
  }

  /** Whether there are older versions than `versions` shows. */
  get more(): boolean {
    return this.#sources.some(({ generation }) => generation !== null);
  }

  /**
   * What is known for certain, children before their parents: below the generation that one of the histories has reached, it
   * may still bring something.
   */
  get versions(): Version[] {
    const known = Math.max(0, ...this.#sources.map(({ generation }) => generation ?? 0));
    return [...this.#versions.values()].filter(({ generation }) => generation >= known).sort((a, b) => b.versionId - a.versionId);
  }

  /** Reads one page more of the histories that hold the others back. */
  async read(): Promise<void> {
    const behind = Math.max(0, ...this.#sources.map(({ generation }) => generation ?? 0));
    await Promise.all(this.#sources.filter(({ generation }) => generation === behind).map((source) => this.#readPage(source)));
  }

  async #readPage(source: Source): Promise<void> {
    const { done, value } = await source.pages.next();
    if (done === true) {
      source.generation = null;
      return;
    }
    for (const version of value.items) this.#versions.set(version.versionId, version);
    const last = value.items.at(-1);
    source.generation = last === undefined || last.generation === 0 ? null : last.generation;
  }
}
