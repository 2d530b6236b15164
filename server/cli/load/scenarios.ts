import { browse } from './browse.ts';
import { coAnalysis } from './co-analysis.ts';
import type { AnyScenario } from './scenario.ts';

/** Everything that people can be made to do, by name. */
export const SCENARIOS: Readonly<Record<string, AnyScenario>> = { 'co-analysis': coAnalysis, browse };
