import * as Y from 'yjs';

type Struct = Y.Item | Y.GC | Y.Skip;

/** Whether a type or a value in some items lies within more others than may be, below what the document has and what comes with it. */
export function isTooDeep(doc: Y.Doc, structs: readonly Struct[], levelsMax: number): boolean {
  let levels: Levels | undefined;
  return structs.some((struct) => {
    if (!(struct instanceof Y.Item)) return false;
    if (!(struct.content instanceof Y.ContentType)) return valuesOf(struct.content).some((value) => isDeeper(value, levelsMax));
    levels ??= new Levels(doc, structs, levelsMax);
    return levels.of(struct) >= levelsMax;
  });
}

/** How many types items lie within, the one at the root not counted. */
class Levels {
  readonly #doc: Y.Doc;
  readonly #byClient: ReadonlyMap<number, readonly Struct[]>;
  readonly #max: number;
  readonly #known = new Map<Y.Item, number>();

  constructor(doc: Y.Doc, structs: readonly Struct[], levelsMax: number) {
    this.#doc = doc;
    this.#byClient = Map.groupBy(structs, ({ id }) => id.client);
    this.#max = levelsMax;
  }

  /** Goes up until something is known, without recursion, since the way may be as long as the update. */
  of(item: Y.Item): number {
    const way: { readonly item: Y.Item; readonly step: 0 | 1 }[] = [];
    let level = this.#known.get(item);
    for (let at = item; level === undefined; ) {
      const above = this.#above(at);
      way.push({ item: at, step: above.step });
      // What leads back to itself is integrated by nobody.
      this.#known.set(at, Number.POSITIVE_INFINITY);
      level = above.item === undefined ? above.level : this.#known.get(above.item);
      at = above.item ?? at;
    }
    for (const { item, step } of way.reverse()) {
      level += step;
      this.#known.set(item, level);
    }
    return level;
  }

  /** An item either names the type that it is in, or is where the one is that it stands beside. */
  #above({ parent, origin, rightOrigin }: Y.Item): Above {
    if (typeof parent === 'string') return { item: undefined, level: 0, step: 0 };
    const id = parent instanceof Y.ID ? parent : (origin ?? rightOrigin);
    const step = parent instanceof Y.ID ? 1 : 0;
    if (id === null) return { item: undefined, level: 0, step };
    if (id.clock < Y.getState(this.#doc.store, id.client)) return { item: undefined, level: this.#levelInDocument(id), step };
    const struct = structAt(this.#byClient.get(id.client) ?? [], id.clock);
    return struct instanceof Y.Item ? { item: struct, level: 0, step } : { item: undefined, level: 0, step };
  }

  #levelInDocument(id: Y.ID): number {
    let struct: Y.Item | Y.GC | null = Y.getItem(this.#doc.store, id);
    let level = 0;
    while (struct instanceof Y.Item && level < this.#max) {
      struct = (struct.parent as { readonly _item: Y.Item | null })._item;
      if (struct !== null) level += 1;
    }
    return level;
  }
}

interface Above {
  /** undefined: it is not in the update, and the level is known. */
  readonly item: Y.Item | undefined;
  readonly level: number;
  readonly step: 0 | 1;
}

/** The one that has a clock, of those of one client in their order. */
function structAt(structs: readonly Struct[], clock: number): Struct | undefined {
  let [low, high] = [0, structs.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const struct = structs[middle] as Struct;
    if (struct.id.clock > clock) high = middle - 1;
    else if (struct.id.clock + struct.length <= clock) low = middle + 1;
    else return struct;
  }
  return undefined;
}

function valuesOf(content: Y.Item['content']): readonly unknown[] {
  if (content instanceof Y.ContentAny || content instanceof Y.ContentJSON) return content.arr;
  if (content instanceof Y.ContentEmbed) return [content.embed];
  return content instanceof Y.ContentFormat ? [content.value] : [];
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}
