import { expect, test } from 'vitest';
import { asGiven, givenConfig } from '../../server/services/tables/given-config.ts';
import type { WireFilter, WireViewConfig } from '../../server/shared/perspective/types.ts';

const configOf = (...filter: WireFilter[]): WireViewConfig => ({
  ...{ group_by: [], split_by: [], columns: null, sort: [], expressions: {}, aggregates: {}, filter_op: 'and', windows: {} },
  filter,
});
const untouched: WireFilter = { column: 'name', op: 'in', value: [{ string: 'a' }] };
const single = (float: number): WireFilter => ({ column: 'single', op: '==', value: [{ float }] });

test('TB15 of filters only those are kept that their engine got otherwise, and come back', () => {
  const given = configOf(untouched, single(0.1), single(2));
  const taken = { ...given, filter: [untouched, single(Math.fround(0.1)), given.filter[2] as WireFilter] };
  const kept = givenConfig(given, taken);
  expect(kept).toEqual({ expressions: {}, filters: new Map([[1, single(0.1)]]) });
  expect(asGiven(taken, kept)).toEqual(given);
  expect(givenConfig(given, { ...given }).filters.size).toBe(0);
  expect(givenConfig(null, configOf())).toEqual({ expressions: {}, filters: new Map() });
});
