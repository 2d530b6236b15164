import type { Awareness } from 'y-protocols/awareness';
import type { Presence } from '../../protocol/documents/awareness.ts';
import { presenceFault } from '../../protocol/documents/validate.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { withoutUndefined } from '../values.ts';
import type { DocumentSession } from './session.ts';

/** Somebody who has the document open: one client, of which a person may have several. */
export interface PresentClient extends Presence {
  readonly clientId: number;
  readonly isMe: boolean;
}

/** Who is here, and what they look at. What is set is sent at most every `presenceIntervalMs`. */
export class Presences {
  readonly #session: DocumentSession;

  constructor(session: DocumentSession) {
    this.#session = session;
  }

  /** Changes what is given and keeps the rest; null takes a field back. */
  set(changes: Presence): void {
    const { awareness } = this.#session.replica;
    const { opened } = this.#session;
    const next = withoutUndefined({ ...awareness.getLocalState(), ...changes });
    const fault = presenceFault(next, opened?.subject ?? '');
    if (fault !== undefined)
      throw new CovistaError('invalid_input', `${fault.path.join('.')}: ${fault.message}`, { rule: fault.rule, path: fault.path });
    awareness.setLocalState(next as Record<string, unknown>);
  }

  get me(): Presence {
    return this.#session.replica.awareness.getLocalState() ?? {};
  }

  /** Everyone who is here, this client included. */
  list(): PresentClient[] {
    const { awareness, doc } = this.#session.replica;
    return [...awareness.getStates()].map(([clientId, state]) => ({ ...(state as Presence), clientId, isMe: clientId === doc.clientID }));
  }

  others(): PresentClient[] {
    return this.list().filter(({ isMe }) => !isMe);
  }

  /** Tells who is here after every change, until the function that it returns is called. */
  observe(listener: (present: PresentClient[]) => void): () => void {
    let { awareness } = this.#session.replica;
    const changed = (): void => listener(this.list());
    awareness.on('change', changed);
    const stop = this.#session.onReplaced.add(() => {
      awareness = this.#session.replica.awareness;
      awareness.on('change', changed);
      changed();
    });
    return () => {
      stop();
      awareness.off('change', changed);
    };
  }

  /** Tells the view config that another client shows, now and whenever it changes; null once it is gone. */
  follow(clientId: number, listener: (viewConfig: unknown) => void): () => void {
    let shown: string | undefined;
    const tell = (present: readonly PresentClient[]): void => {
      const followed = present.find((client) => client.clientId === clientId);
      const viewConfig = followed?.viewConfig ?? null;
      const text = JSON.stringify(viewConfig);
      if (text !== shown) listener(viewConfig);
      shown = text;
    };
    tell(this.list());
    return this.observe(tell);
  }
}

/** Colours that are told apart on white and on black, for people who chose none. */
const COLOURS = ['#d1495b', '#2e86ab', '#3b8b5a', '#a3671d', '#7d5ba6', '#c2549d', '#557a95', '#8a7a12', '#0e8a8a', '#b3552e'];

/** Says anew who is here: others forgot it with the channel before, and take up only what has a later clock. */
export function introduce(awareness: Awareness, subject: string): void {
  const state = awareness.getLocalState();
  if (state !== null) awareness.setLocalState({ user: personOf(subject), ...state });
}

function personOf(subject: string): Presence['user'] {
  const hash = Array.from(subject).reduce((sum, character) => (sum * 31 + (character.codePointAt(0) ?? 0)) % 1_000_003, 7);
  return { subject, name: subject.slice(0, defaultLimits.presenceNameCharsMax), color: COLOURS[hash % COLOURS.length] };
}
