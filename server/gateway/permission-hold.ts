import { type Operation, PERMISSIONS, type PermissionLevel } from '../../protocol/define.ts';
import type { CovistaError } from '../../protocol/errors.ts';
import type { AuditTrail } from '../services/access/audit-trail.ts';
import type { HoldRequest } from '../services/access/holds.ts';
import type { Channel, ChannelPeer, Opening } from '../shared/channel.ts';
import type { Call } from './call.ts';
import { recordLoss } from './call-audit.ts';

export interface HoldOptions {
  /** Watches over work that takes long, and calls back when the caller may no longer do it; returns how to let go. */
  readonly hold: (request: HoldRequest) => () => void;
  readonly audit: AuditTrail;
}

/** What an operation says of how long a call of it may last. */
export interface HeldEntry {
  readonly operation: Operation;
  /** Null: as long as the caller stays. */
  readonly timeoutMs: number | null;
  /** Whether it may take so long that the caller's permission can end meanwhile. */
  readonly isHeld: boolean;
}

/** A channel lasts as long as the permission that it was opened with, by the token that its session has. */
export function watched(entry: HeldEntry, call: Call, { opened, attach, abandon }: Opening<unknown>, options: HoldOptions): Opening<unknown> {
  return {
    opened,
    abandon,
    attach: (peer: ChannelPeer): Channel => {
      const channel = attach(peer);
      let letGo = holdPermission(entry, call, options);
      let isOver = false;
      call.whenRenewed(() => {
        if (isOver) return;
        letGo();
        letGo = holdPermission(entry, call, options);
      });
      return {
        receive: (bytes) => channel.receive(bytes),
        closed: () => {
          isOver = true;
          letGo();
          channel.closed();
        },
      };
    },
  };
}

/** Cancels the call when the caller loses the permission that it rests on. */
export function holdPermission({ operation, isHeld, timeoutMs }: HeldEntry, call: Call, { hold, audit }: HoldOptions): () => void {
  const [{ action }, { access, actor, renewedActor }] = [operation.permission, call];
  if (!isHeld || access === undefined || !isLevel(action)) return () => undefined;
  const onLost = (reason: CovistaError): void => {
    recordLoss(audit, call, reason);
    call.cancel(reason);
  };
  const isChannel = operation.kind === 'channel';
  // What was asked for with a token is answered by it; a channel goes on with that of its session.
  const holder = (isChannel ? renewedActor : undefined) ?? actor;
  return hold({ actor: holder, level: action, access, followsScope: timeoutMs === null, keepsScope: isChannel, onLost });
}

const isLevel = (action: string): action is PermissionLevel => (PERMISSIONS as readonly string[]).includes(action);
