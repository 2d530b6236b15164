import type { CrowdPlan } from './crowd.ts';
import type { Recorded } from './recorder.ts';

/** What a thread is started with. */
export interface CrowdShare {
  readonly plan: CrowdPlan;
  /** By name, since a scenario is code. */
  readonly scenario: string;
}

/** The people come once all threads are ready, are measured from when all are there, and leave at the end. */
export type ToCrowd = 'begin' | 'measure' | 'end';

export type FromCrowd =
  | { readonly kind: 'ready' }
  | { readonly kind: 'settled' }
  /** How it goes, every second, and once the last has left. */
  | { readonly kind: 'over' }
  | { readonly kind: 'told'; readonly arrived: number; readonly recorded: Recorded; readonly arrival: Recorded | undefined };
