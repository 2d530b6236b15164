import type * as Y from 'yjs';
import { DOCUMENT_SHAPES } from '../../protocol/documents/shape.ts';
import { entryFault } from '../../protocol/documents/validate.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { plain } from './entries.ts';
import type { DocumentSession } from './session.ts';

type Step = 'undo' | 'redo';

/**
 * Takes a step of this client back, or does it again; answers whether that came about. Where others changed meanwhile what the
 * step rests on, so that half an entry would be left, the step is given up instead.
 */
export function takeStep(session: DocumentSession, step: Step): boolean {
  const { undo, doc } = session.replica;
  const kind = session.name.startsWith('user/') ? 'user' : 'dataset';
  const maps = Object.keys(DOCUMENT_SHAPES[kind]).map((name) => watched(name, doc.getMap(name)));
  session.hold();
  try {
    if (undo[step]() === null) return false;
    const isWhole = maps.every(({ name, map, touched }) =>
      [...touched].every(
        (id) => entryFault({ kind, map: name, id, before: plain(map.get(id)), after: plain(map.get(id)), subject: '' }) === undefined,
      ),
    );
    if (!isWhole) giveUp(session, step);
    return isWhole;
  } finally {
    for (const { stop } of maps) stop();
    session.release();
  }
}

function giveUp({ replica: { undo }, onError, name }: DocumentSession, step: Step): void {
  undo[step === 'undo' ? 'redo' : 'undo']();
  undo[step === 'undo' ? 'undoStack' : 'redoStack'].pop();
  onError.tell(new CovistaError('conflict', `a step in ${name} cannot be taken back, because others changed what it rests on`, { name, step }));
}

interface Watched {
  readonly name: string;
  readonly map: Y.Map<unknown>;
  /** The entries that changed. */
  readonly touched: ReadonlySet<string>;
  stop(): void;
}

function watched(name: string, map: Y.Map<unknown>): Watched {
  const touched = new Set<string>();
  const observe = (events: readonly Y.YEvent<Y.AbstractType<unknown>>[]): void => {
    for (const { path, changes } of events) {
      if (path.length > 0) touched.add(String(path[0]));
      else for (const id of changes.keys.keys()) touched.add(id);
    }
  };
  map.observeDeep(observe);
  return { name, map, touched, stop: () => map.unobserveDeep(observe) };
}
