import type { ChannelOptions, LiveDocument } from '../../../client/index.ts';
import { defaultSettings } from '../../../client/settings.ts';
import type { Person } from './scenario.ts';

/**
 * Everybody is sent what the others do, but not everybody looks at it: on a machine of their own each could, on the one that all
 * share here, it would be the people whose pace is measured.
 */
export async function openDocument({ client, isWatching }: Person, name: string): Promise<LiveDocument> {
  if (isWatching) return client.document.open(name);
  const [{ DocumentHub }, { readMessage }] = await Promise.all([
    import('../../../client/documents/hub.ts'),
    import('../../../client/documents/wire.ts'),
  ]);
  const lookAway = ({ onMessage, ...options }: ChannelOptions): ChannelOptions => ({
    ...options,
    onMessage: (bytes) => OF_OTHERS.has(readMessage(bytes).kind) || onMessage(bytes),
  });
  const hub = new DocumentHub({
    settings: defaultSettings,
    connect: (ofDocument, options) => client.document.connect({ name: ofDocument, receipts: true }, lookAway(options)),
  });
  // As the client does for the documents that it opens itself: they end with it.
  client.onState((state) => state.kind === 'closed' && hub.close(state.reason));
  if (client.state.kind === 'closed') throw client.state.reason;
  return hub.open(name);
}

/** What comes of what others do, once a document is open. */
const OF_OTHERS: ReadonlySet<string> = new Set(['update', 'awareness']);
