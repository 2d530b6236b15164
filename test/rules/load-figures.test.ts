import { describe, expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { judge, readObjective } from '../../server/cli/load/objectives.ts';
import { Random } from '../../server/cli/load/random.ts';
import { Recorder } from '../../server/cli/load/recorder.ts';
import { pivotsOf } from '../../server/cli/load/world.ts';

describe('pivots', () => {
  const columns = (...types: string[]) => types.map((type, index) => ({ name: `c${index}`, type }));

  test('CLI9 pivots of a dataset go by the types of its columns', () => {
    expect(pivotsOf(columns('BIGINT', 'VARCHAR', 'VARCHAR[]', 'DATE', 'DECIMAL(18,3)', 'DOUBLE'))).toEqual({
      groups: [['c1'], ['c1', 'c3'], ['c3', 'c1'], ['c3']],
      measures: [
        { column: 'c4', aggregate: 'sum' },
        { column: 'c5', aggregate: 'avg' },
      ],
    });
    expect(pivotsOf(columns('BOOLEAN'))).toEqual({ groups: [['c0']], measures: [{ column: 'c0', aggregate: 'count' }] });
    expect(pivotsOf(columns('INTEGER'))).toEqual({ groups: [['c0']], measures: [{ column: 'c0', aggregate: 'sum' }] });
    for (const type of ['STRUCT(a INTEGER)', 'DECIMAL(18,3)[]', "ENUM('a', 'b')[]"]) {
      expect(() => pivotsOf(columns(type)), type).toThrow('nobody can pivot this dataset');
    }
  });
});

describe('figures', () => {
  test('CLI9 times run from when an action was due', async () => {
    const recorder = new Recorder();
    recorder.restart();
    await recorder.measure('late', performance.now() - 500, async () => undefined);
    const [late] = recorder.figures();
    expect(late).toMatchObject({ action: 'late', count: 1, errors: 0 });
    expect(late?.p99).toBeGreaterThanOrEqual(499);
    expect(
      judge([readObjective('late:p50=0.4s'), readObjective('late:p50=1h'.replace('1h', '3600s'))], recorder.figures()).map(({ met }) => met),
    ).toEqual([false, true]);
  });

  test('CLI9 what nobody came to begin is charged with its time, and counts as nothing that was answered', async () => {
    const recorder = new Recorder();
    recorder.restart();
    await recorder.measure('read', performance.now(), async () => undefined);
    recorder.miss('read', performance.now() - 20_000);
    for (const told of [recorder, Recorder.of([recorder.recorded()])]) {
      const [read] = told.figures();
      expect(read).toMatchObject({ count: 1, errors: 0 });
      expect(read?.p99).toBeGreaterThanOrEqual(19_900);
      expect(told.overall().perSecond).toBeLessThan(1.5 * (read?.perSecond ?? 0));
      expect(told.overall().p99).toBe(read?.p99);
    }
  });

  test('CLI9 an action that always failed meets no time', () => {
    const recorder = new Recorder();
    recorder.restart();
    recorder.fail('look', new CovistaError('not_found', 'gone'));
    const verdicts = judge([readObjective('look:p99=1s'), readObjective('*:max=1s'), readObjective('look:errors=1')], recorder.figures());
    expect(verdicts.map(({ value, met }) => [value, met])).toEqual([
      [undefined, false],
      [undefined, false],
      [1, true],
    ]);
  });

  test('CLI9 what no server answers is timed, but not among all actions together', async () => {
    const recorder = new Recorder();
    recorder.restart();
    await recorder.measure('look', performance.now() - 100, async () => undefined);
    for (let move = 0; move < 10; move += 1) await recorder.measure('move', performance.now(), async () => undefined, { isLocal: true });
    expect(recorder.overall().p50).toBeGreaterThanOrEqual(99);
    expect(recorder.figures()).toMatchObject([
      { action: 'look', count: 1 },
      { action: 'move', count: 10 },
    ]);
  });

  test('CLI9 what several threads recorded is told as one', () => {
    const recorders = [new Recorder(), new Recorder()];
    for (const [index, recorder] of recorders.entries()) {
      recorder.restart();
      recorder.record('look', 100 * (index + 1));
      recorder.fail('look', new CovistaError('not_found', 'gone'));
    }
    const both = Recorder.of(recorders.map((recorder) => recorder.recorded()));
    const [look] = both.figures();
    expect(look).toMatchObject({ action: 'look', count: 2, errors: 2 });
    expect(look?.max).toBeCloseTo(200, 0);
    expect(both.errors).toEqual({ 'look: not_found': 2 });
  });

  test('CLI9 the same seed makes the same choices', () => {
    const choices = (seed: number): number[] => {
      const random = new Random(seed);
      return Array.from({ length: 20 }, () => random.below(1_000));
    };
    expect(choices(7)).toEqual(choices(7));
    expect(choices(7)).not.toEqual(choices(8));
  });
});
