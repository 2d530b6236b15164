import type { WireFilter, WireViewConfig } from '../../shared/perspective/types.ts';

/** What a session wrote of what its engine got otherwise. */
export interface GivenConfig {
  readonly expressions: WireViewConfig['expressions'];
  /**
   * By their places, filters that the engine got otherwise: those of floats of 32 bits, each with one number. All others the
   * engine has as they were given; to keep them here too would take as much again, of which nobody keeps count.
   */
  readonly filters: ReadonlyMap<number, WireFilter>;
}

/** `taken` is what `checkConfig` made of `given`. */
export function givenConfig(given: WireViewConfig | null, taken: WireViewConfig): GivenConfig {
  const filters = given?.filter ?? [];
  const changed = filters.flatMap((filter, index) => (taken.filter[index] === filter ? [] : [[index, filter] as const]));
  return { expressions: given?.expressions ?? {}, filters: new Map(changed) };
}

/** The configuration that an engine tells, with what was given. */
export function asGiven(config: WireViewConfig, { expressions, filters }: GivenConfig): WireViewConfig {
  return { ...config, expressions, filter: config.filter.map((filter, index) => filters.get(index) ?? filter) };
}
