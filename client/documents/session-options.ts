import type { DocumentOpened } from '../../protocol/documents/messages.ts';
import type { OpenChannel } from '../channel-call.ts';
import type { ClientSettings } from '../settings.ts';
import type { ChannelOptions } from '../types.ts';
import type { DocumentKeeper } from './keeper.ts';

/** Opens the channel of a document. */
export type ConnectDocument = (name: string, options: ChannelOptions) => Promise<OpenChannel<DocumentOpened>>;

export interface SessionOptions {
  readonly name: string;
  readonly connect: ConnectDocument;
  readonly settings: Pick<ClientSettings, 'backoffBaseMs' | 'backoffMaxMs' | 'editIntervalMs' | 'presenceIntervalMs'>;
  readonly keeper: DocumentKeeper | undefined;
}
