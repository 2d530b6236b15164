import { Presets, SingleBar } from 'cli-progress';
import type { Progress } from '../../protocol/frame.ts';
import type { Terminal } from './terminal.ts';

export interface ProgressDisplay {
  report(progress: Progress): void;
  /** Removes the bar; may be called again. */
  end(): void;
}

/** A bar on standard error while people watch it, and nothing otherwise. */
export function showProgress(terminal: Terminal, title: string): ProgressDisplay {
  if (!terminal.interactive) return { report: () => undefined, end: () => undefined };
  const format = `${title} {phase} {bar} {percentage}% {value}/{total} {unit}`;
  const bar = new SingleBar({ stream: terminal.errorStream, format, hideCursor: true, clearOnComplete: true }, Presets.shades_classic);
  let phase: string | undefined;
  return {
    report: (progress) => {
      const total = progress.total ?? progress.done;
      if (progress.phase !== phase) bar.start(total, progress.done, { phase: progress.phase, unit: progress.unit });
      else {
        bar.setTotal(total);
        bar.update(progress.done);
      }
      phase = progress.phase;
    },
    end: () => bar.stop(),
  };
}
