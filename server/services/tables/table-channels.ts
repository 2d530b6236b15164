import type { CovistaError } from '../../../protocol/errors.ts';
import type { TableId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { Channel, ChannelPeer, Opening } from '../../shared/channel.ts';
import type { Control } from '../../storage/content-store.ts';
import { Guard } from './guard.ts';
import type { Lease } from './table-pool.ts';
import type { TableAt, Tables } from './tables.ts';
import type { EngineTimes } from './times.ts';

/** Channels that carry Perspective's protocol about one table. */
export interface TableChannels {
  open(at: TableAt, control: Control): Promise<Opening<{ tableId: TableId }>>;
}

interface TableChannelsOptions {
  readonly tables: Pick<Tables, 'lease'>;
  readonly times: Pick<EngineTimes, 'computed'>;
  readonly limits: Limits;
}

export function createTableChannels({ tables, ...options }: TableChannelsOptions): TableChannels {
  return {
    open: async (at, control) => {
      // The table may go before anybody is attached, who then is told at once.
      let ended: CovistaError | undefined;
      let tell = (reason: CovistaError): void => {
        ended = reason;
      };
      const lease = await tables.lease(at, { ended: (reason) => tell(reason) }, control);
      return {
        opened: { tableId: at.tableId },
        attach: (peer) => {
          tell = (reason) => peer.close(reason);
          try {
            // The engine may have lost the table meanwhile.
            if (ended !== undefined) throw ended;
            return attach(at, lease, peer, options);
          } catch (fault) {
            lease.release();
            throw fault;
          }
        },
        abandon: () => lease.release(),
      };
    },
  };
}

function attach({ tableId, actor }: TableAt, lease: Lease, peer: ChannelPeer, { times, limits }: Omit<TableChannelsOptions, 'tables'>): Channel {
  const { table, engine } = lease.loaded;
  const guard = new Guard({
    ...{ tableId, table, dialect: engine.dialect, limits, holder: actor.subject },
    respond: (bytes) => peer.send(bytes),
    lost: (reason) => peer.close(reason),
    computed: (seconds) => times.computed(engine.name, seconds),
  });
  return {
    receive: (bytes) => guard.receive(bytes),
    closed: () => {
      // The table is let go of whatever the engine throws.
      lease.release();
      guard.close();
    },
  };
}
