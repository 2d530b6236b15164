import { CURVES_MAX, type Curve, type Plot } from './plot.ts';

/**
 * Plots that can be read: one whose curves are too many becomes one for each family of them, by what stands before or behind the colon
 * of their names, and families that are still too large are cut into parts of about the same size. A curve alone names its plot.
 */
export function readable(plot: Plot): Plot[] {
  if (plot.curves.length <= CURVES_MAX) return [named(plot)];
  return familiesOf(plot.curves).flatMap(({ name, curves }) => {
    const title = name === undefined ? plot.title : `${plot.title}: ${name}`;
    const parts = partsOf(curves);
    return parts.map((part, index) =>
      named({ ...plot, title: parts.length === 1 ? title : `${title} (${index + 1} of ${parts.length})`, curves: part }),
    );
  });
}

interface Family {
  readonly name: string | undefined;
  readonly curves: readonly Curve[];
}

/** By the side of the colon that makes fewer families; all are one where a name has no colon. */
function familiesOf(curves: readonly Curve[]): Family[] {
  const halves = curves.map(({ name }) => /^(.*): (.*)$/.exec(name)?.slice(1) as [string, string] | undefined);
  if (halves.includes(undefined)) return [{ name: undefined, curves }];
  const by = (side: 0 | 1): Family[] => {
    const families = new Map<string, Curve[]>();
    for (const [index, curve] of curves.entries()) {
      const [name, rest] = [halves[index]?.[side] ?? '', halves[index]?.[1 - side] ?? ''];
      families.set(name, [...(families.get(name) ?? []), { ...curve, label: rest }]);
    }
    return [...families].map(([name, own]) => ({ name, curves: own }));
  };
  const [before, behind] = [by(0), by(1)];
  return before.length < behind.length ? before : behind;
}

function partsOf(curves: readonly Curve[]): (readonly Curve[])[] {
  const count = Math.ceil(curves.length / CURVES_MAX);
  const size = Math.ceil(curves.length / count);
  return Array.from({ length: count }, (_, part) => curves.slice(part * size, (part + 1) * size));
}

function named(plot: Plot): Plot {
  const [only, ...others] = plot.curves;
  return only === undefined || others.length > 0
    ? plot
    : { ...plot, title: `${plot.title}: ${only.label ?? only.name}`, curves: [{ ...only, label: '' }] };
}
