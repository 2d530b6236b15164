import type { Subject } from '../../../protocol/ids.ts';
import { isUnrestricted } from '../../storage/content-store.ts';
import type { EventRecord } from '../../storage/stores.ts';
import type { Access } from './access.ts';

/**
 * An event as someone may see it. Who was granted what is for admins; how many rows a version has, and which columns tell
 * rows apart, for those who see everything; what a schedule does, for its owner and admins.
 */
export function visibleEvent(event: EventRecord, { permission, scope }: Access, subject: Subject): EventRecord {
  if (event.kind === 'schedule.changed' || event.kind === 'schedule.ran')
    return permission === 'admin' || event.data.owner === subject ? event : { ...event, actor: '', data: {} };
  if (event.kind === 'grant.changed') return permission === 'admin' ? event : { ...event, data: { action: event.data.action } };
  if (isUnrestricted(scope)) return event;
  const { rows: _rows, key: _key, ...data } = event.data;
  return { ...event, data };
}
