import type { TableEngine } from './engine.ts';

/** Is told how long engines take, by whatever protocol they are asked. */
export interface EngineTimes {
  /** A table was loaded, which nobody had open. */
  loaded(engine: TableEngine['name'], seconds: number): void;
  /** A view was made, or a window of one was read. */
  computed(engine: TableEngine['name'], seconds: number): void;
}
