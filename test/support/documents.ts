import { onTestFinished } from 'vitest';
import { DocumentHub, type OpenOptions } from '../../client/documents/hub.ts';
import type { LiveDocument } from '../../client/documents/live-document.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { DocumentRelay } from './document-relay.ts';

export const QUICK_DOCUMENTS = { backoffBaseMs: 1, backoffMaxMs: 2, editIntervalMs: 1, presenceIntervalMs: 1 } as const;

/** A client of this person whose documents are all that of the relay. */
export function hubOf(relay: DocumentRelay, subject: string, settings: Partial<typeof QUICK_DOCUMENTS> = {}): DocumentHub {
  const hub = new DocumentHub({ connect: relay.connectAs(subject), settings: { ...QUICK_DOCUMENTS, ...settings } });
  onTestFinished(() => hub.close(new CovistaError('cancelled', 'the test is over')));
  return hub;
}

export async function openAs(relay: DocumentRelay, subject: string, options: OpenOptions & { readonly name?: string } = {}): Promise<LiveDocument> {
  const document = await hubOf(relay, subject).open(options.name ?? 'dataset/7', options);
  await document.whenSynced();
  return document;
}

export function newRelay(): DocumentRelay {
  const relay = new DocumentRelay();
  onTestFinished(() => relay.awareness.destroy());
  return relay;
}

/** Resolves once the condition holds, which is asked again whenever something happens to the document. */
export function until(document: LiveDocument, condition: () => boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isOver = false;
  // Observers are told behind the event.
  const check = (): void => {
    setImmediate(() => !isOver && condition() && resolve());
  };
  const watch = (): void => {
    document.doc.on('update', check);
    document.awareness.on('change', check);
    check();
  };
  const stops = [document.onState(check), document.onError(check), document.onReplaced(watch)];
  watch();
  return promise.finally(() => {
    isOver = true;
    for (const stop of stops) stop();
    document.doc.off('update', check);
    document.awareness.off('change', check);
  });
}

/** A text of the clients' own in a document. */
export const text = (document: LiveDocument): string => document.doc.getText('note').toString();
export const write = (document: LiveDocument, words: string): void => document.doc.getText('note').insert(document.doc.getText('note').length, words);

/** The errors that a document tells of, as they come. */
export function errorsOf(document: LiveDocument): CovistaError[] {
  const errors: CovistaError[] = [];
  document.onError((error) => errors.push(error));
  return errors;
}

/** Two people with one document open. */
export async function twoPeople(): Promise<[alice: LiveDocument, bob: LiveDocument]> {
  const relay = newRelay();
  return Promise.all([openAs(relay, 'alice'), openAs(relay, 'bob')]);
}

/** What is thrown. */
export function fault(run: () => unknown): CovistaError {
  try {
    run();
  } catch (error) {
    return error as CovistaError;
  }
  throw new Error('nothing was thrown');
}
