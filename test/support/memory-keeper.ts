import type { DocumentKeeper, KeptDocument } from '../../client/documents/keeper.ts';
import type { DocumentOpened } from '../../protocol/documents/messages.ts';

/** A keeper whose copies outlive a client, as those of a browser outlive a page. */
export class MemoryKeeper implements DocumentKeeper {
  readonly kept = new Map<string, { opened: DocumentOpened; unsettled: boolean; updates: Uint8Array[] }>();
  /** Set: whatever is kept next fails with it. */
  fault: Error | undefined;

  async load(name: string): Promise<KeptDocument | undefined> {
    const kept = this.kept.get(name);
    return kept && { ...kept, updates: [...kept.updates] };
  }

  async note(name: string, opened: DocumentOpened): Promise<void> {
    this.kept.set(name, { unsettled: false, updates: [], ...this.kept.get(name), opened });
  }

  async append(name: string, update: Uint8Array, unsettled: boolean): Promise<void> {
    if (this.fault !== undefined) throw this.fault;
    const kept = this.kept.get(name);
    if (kept === undefined) return;
    kept.updates.push(update);
    kept.unsettled = unsettled;
  }

  async settle(name: string): Promise<void> {
    const kept = this.kept.get(name);
    if (kept !== undefined) kept.unsettled = false;
  }

  async forget(name: string): Promise<void> {
    this.kept.delete(name);
  }

  async erase(): Promise<void> {
    this.kept.clear();
  }
}
