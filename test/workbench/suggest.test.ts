import { describe, expect, test } from 'vitest';
import { type ChartColumn, suggest } from '../../client/workbench/explore/suggest.ts';

const column = (name: string, type: string, distinct: number): ChartColumn => ({ name, type, distinct });

const ORDERS: readonly ChartColumn[] = [
  column('id', 'integer', 9_994),
  column('day', 'date', 1_236),
  column('customer', 'string', 793),
  column('country', 'string', 1),
  column('category', 'string', 3),
  column('product', 'string', 17),
  column('state', 'string', 49),
  column('quantity', 'integer', 14),
  column('sales', 'float', 5_825),
  column('profit', 'float', 7_287),
];

describe('what a chart of a plain grid begins with', () => {
  const of = (plugin: string, columns = ORDERS) => suggest({ plugin, columns, key: ['id'] });

  test('WB5 bars stand along what tells few groups apart, in the colours of fewer', () => {
    expect(of('Y Bar')).toMatchObject({ group_by: ['product'], split_by: ['category'], columns: ['sales'] });
    expect(of('Heatmap')).toMatchObject({ group_by: ['product'], split_by: ['category'], columns: ['sales'] });
  });

  test('WB5 what is nested goes from the coarse to the fine', () => {
    for (const plugin of ['Treemap', 'Sunburst']) expect(of(plugin)).toMatchObject({ group_by: ['category', 'product'], split_by: [] });
  });

  test('WB5 lines go along time where there is one, and a scatter has two measures', () => {
    expect(of('Y Line')).toMatchObject({ group_by: ['day'], columns: ['sales'] });
    expect(of('X/Y Scatter')).toMatchObject({ columns: ['sales', 'profit'] });
  });

  test('WB5 nothing is suggested where there is nothing to group by or to measure', () => {
    expect(of('Y Bar', [column('id', 'integer', 10), column('name', 'string', 5)])).toBeUndefined();
    expect(of('Y Bar', [column('sales', 'float', 10)])).toBeUndefined();
    expect(of('Datagrid')).toBeUndefined();
  });
});
