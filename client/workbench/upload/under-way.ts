import { type Client, CovistaError } from '../../index.ts';
import { toast } from '../ui/toast.ts';

/** An upload from this window, as far as it can be taken back by whoever knows this. */
export interface UnderWay {
  readonly subject: string;
  readonly fileName: string;
  uploadId?: string;
}

/** Written when the window leaves its page in the middle of uploads, and read by the page that comes next in the same window. */
const KEY = 'covista-uploads';

const running = new Set<UnderWay>();

/** While work goes on, the browser asks before the page is left; what is left all the same is taken back by `settleLeft`. */
export async function whileUnderWay<Result>(upload: UnderWay, work: () => Promise<Result>): Promise<Result> {
  if (running.size === 0) {
    addEventListener('beforeunload', ask);
    addEventListener('pagehide', leave);
  }
  running.add(upload);
  try {
    return await work();
  } finally {
    running.delete(upload);
    if (running.size === 0) {
      removeEventListener('beforeunload', ask);
      removeEventListener('pagehide', leave);
    }
  }
}

const ask = (event: BeforeUnloadEvent): void => event.preventDefault();

const leave = (): void => sessionStorage.setItem(KEY, JSON.stringify([...running]));

/** Takes back what this window left in the middle, and says what became of it. */
export async function settleLeft(client: Client, subject: string): Promise<void> {
  const left = JSON.parse(sessionStorage.getItem(KEY) ?? '[]') as readonly UnderWay[];
  sessionStorage.removeItem(KEY);
  for (const upload of left.filter((one) => one.subject === subject)) {
    try {
      if (await hasLanded(client, upload)) toast(`${upload.fileName} had arrived before you left the page`);
      else toast(`The upload of ${upload.fileName} ended when you left the page. Nothing of it was kept.`, 'failed');
    } catch {
      toast(`The upload of ${upload.fileName} ended when you left the page.`, 'failed');
    }
  }
}

/** Takes an upload back. One that can be taken back has not landed; the server lets a commit that it still carries out end first. */
export async function hasLanded({ upload: uploads }: Client, { uploadId }: UnderWay): Promise<boolean> {
  try {
    if (uploadId !== undefined) await uploads.abort({ uploadId });
    return false;
  } catch (error) {
    if (error instanceof CovistaError && error.code === 'not_found') return true;
    throw error;
  }
}
