import * as Y from 'yjs';
import type { Annotation } from '../../protocol/documents/annotation.ts';
import { DOCUMENT_SHAPES } from '../../protocol/documents/shape.ts';
import { entryFault } from '../../protocol/documents/validate.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { plain } from './entries.ts';
import type { DocumentSession } from './session.ts';
import { assertWritable, whyNotWritable } from './writable.ts';

type Step = 'undo' | 'redo';

/** Whether there is a step to take, and it may be taken. */
export function canTakeStep(session: DocumentSession, step: Step): boolean {
  const { undo } = session.replica;
  return whyNotWritable(session) === undefined && (step === 'undo' ? undo.canUndo() : undo.canRedo());
}

/**
 * Takes a step of this client back, or does it again; answers whether that came about. Where others changed meanwhile what the
 * step rests on, so that nothing of it or half an entry would be left, the step is given up instead.
 */
export function takeStep(session: DocumentSession, step: Step): boolean {
  assertWritable(session);
  const { undo, doc } = session.replica;
  const stack = step === 'undo' ? undo.undoStack : undo.redoStack;
  if (stack.length === 0) return false;
  const kind = session.name.startsWith('user/') ? 'user' : 'dataset';
  const maps = Object.keys(DOCUMENT_SHAPES[kind]).map((name) => watched(name, doc.getMap(name)));
  // Yjs goes on to the step before one of which nothing is left, which nobody asked for.
  const earlier = stack.splice(0, stack.length - 1);
  session.hold();
  try {
    const isTaken = undo[step]() !== null;
    const isWhole = maps.every(({ name, map, touched }) =>
      [...touched.keys()].every(
        (id) => entryFault({ kind, map: name, id, before: plain(map.get(id)), after: plain(map.get(id)), subject: '' }) === undefined,
      ),
    );
    if (isTaken && isWhole) sign(session, step, maps);
    else giveUp(session, step, isTaken);
    return isTaken && isWhole;
  } finally {
    stack.unshift(...earlier);
    for (const { stop } of maps) stop();
    session.release();
  }
}

function giveUp({ replica: { undo }, onError, name }: DocumentSession, step: Step, isTaken: boolean): void {
  if (isTaken) {
    undo[step === 'undo' ? 'redo' : 'undo']();
    undo[step === 'undo' ? 'undoStack' : 'redoStack'].pop();
  }
  onError.tell(new CovistaError('conflict', `a step in ${name} cannot be taken back, because others changed what it rests on`, { name, step }));
}

/** What a step puts back may name somebody else as who changed or resolved an entry; it is this person who does so now. */
function sign({ replica: { doc, undo }, opened }: DocumentSession, step: Step, maps: readonly Watched[]): void {
  const subject = opened?.subject;
  const at = new Date().toISOString();
  asPartOf(undo, step, () =>
    doc.transact(() => {
      for (const { name, map, touched } of maps) {
        for (const [id, fields] of touched) {
          const entry = map.get(id);
          if (fields === 'all' || !(entry instanceof Y.Map)) continue;
          if (name === 'views' && (entry.get('updatedBy') ?? entry.get('author')) !== subject) {
            entry.set('updatedBy', subject);
            entry.set('updatedAt', at);
          }
          const by = (entry.get('resolved') as Annotation['resolved'] | undefined)?.by;
          if (fields.has('resolved') && by !== undefined && by !== subject) entry.set('resolved', { by: subject, at });
        }
      }
    }, undo),
  );
}

/** Joins what is changed to the step that was just taken: one that went back without it would meet it as somebody else's change. */
function asPartOf(undo: Y.UndoManager, step: Step, change: () => void): void {
  const [stack, taking] = step === 'undo' ? ([undo.redoStack, 'undoing'] as const) : ([undo.undoStack, 'redoing'] as const);
  const [taken] = stack.slice(-1);
  undo[taking] = true;
  try {
    change();
  } finally {
    undo[taking] = false;
  }
  const [joined] = stack.slice(-1);
  if (taken === undefined || joined === undefined || joined === taken) return;
  stack.pop();
  taken.deletions = Y.mergeDeleteSets([taken.deletions, joined.deletions]);
  taken.insertions = Y.mergeDeleteSets([taken.insertions, joined.insertions]);
}

interface Watched {
  readonly name: string;
  readonly map: Y.Map<unknown>;
  /** The entries that changed, and which of their fields; all of those that came or went. */
  readonly touched: ReadonlyMap<string, ReadonlySet<string> | 'all'>;
  stop(): void;
}

function watched(name: string, map: Y.Map<unknown>): Watched {
  const touched = new Map<string, Set<string> | 'all'>();
  const observe = (events: readonly Y.YEvent<Y.AbstractType<unknown>>[]): void => {
    for (const event of events) {
      const [id, ...inner] = event.path.map(String);
      // To ask an event of a text for its changes is a transaction of its own, which would count as a step.
      const keys = event instanceof Y.YMapEvent ? [...event.keysChanged].map(String) : [];
      if (id === undefined) for (const key of keys) touched.set(key, 'all');
      else if (touched.get(id) !== 'all') touched.set(id, new Set([...(touched.get(id) ?? []), ...keys, ...inner]));
    }
  };
  map.observeDeep(observe);
  return { name, map, touched, stop: () => map.unobserveDeep(observe) };
}
