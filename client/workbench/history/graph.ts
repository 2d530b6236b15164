/** A version as the graph sees it. */
export interface GraphNode {
  readonly versionId: number;
  readonly parents: readonly number[];
}

/** A line of one row, from a lane at its top to a lane at its bottom; the dot is in the middle. */
export interface GraphLine {
  readonly from: number;
  readonly to: number;
  /** `top`: from above to the dot. `bottom`: from the dot to below. `through`: past it. */
  readonly part: 'top' | 'bottom' | 'through';
  /** The lane that gives the line its colour. */
  readonly colour: number;
}

export interface GraphRow {
  readonly lane: number;
  readonly lines: readonly GraphLine[];
}

export interface Graph {
  readonly rows: readonly GraphRow[];
  readonly lanes: number;
}

/**
 * Lays out a history, newest first, children before their parents. A lane waits for one version; a version takes the first
 * lane that waits for it, ends the others, and leaves its own to its first parent.
 */
export function layOut(nodes: readonly GraphNode[]): Graph {
  const lanes: (number | undefined)[] = [];
  let most = 0;
  const rows = nodes.map((node) => {
    const row = placeNode(lanes, node);
    most = Math.max(most, lanes.length);
    while (lanes.length > 0 && lanes.at(-1) === undefined) lanes.pop();
    return row;
  });
  return { rows, lanes: most };
}

function placeNode(lanes: (number | undefined)[], { versionId, parents }: GraphNode): GraphRow {
  const waiting = lanes.flatMap((wanted, lane) => (wanted === versionId ? [lane] : []));
  const lane = waiting[0] ?? freeLane(lanes);
  const lines: GraphLine[] = [];
  for (const [other, wanted] of lanes.entries()) {
    if (wanted === versionId) lines.push({ from: other, to: lane, part: 'top', colour: other });
    else if (wanted !== undefined) lines.push({ from: other, to: other, part: 'through', colour: other });
  }
  for (const other of waiting) lanes[other] = undefined;
  lanes[lane] = undefined;
  for (const [index, parent] of parents.entries()) {
    const known = lanes.indexOf(parent);
    const target = known >= 0 ? known : index === 0 ? lane : freeLane(lanes);
    lanes[target] = parent;
    lines.push({ from: lane, to: target, part: 'bottom', colour: index === 0 ? lane : target });
  }
  return { lane, lines };
}

function freeLane(lanes: (number | undefined)[]): number {
  const free = lanes.indexOf(undefined);
  if (free >= 0) return free;
  lanes.push(undefined);
  return lanes.length - 1;
}
