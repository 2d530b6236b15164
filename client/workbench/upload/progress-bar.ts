import { html } from '../ui/dom.ts';

export interface ProgressBar {
  readonly element: HTMLElement;
  /** Without a total the bar only shows that something goes on. */
  set(words: string, progress: { readonly done: number; readonly total: number | null }): void;
}

export function progressBar(): ProgressBar {
  const fill = html('div', { class: 'progress-fill' });
  const words = html('p', { class: 'muted', 'aria-live': 'polite' }, 'Starting…');
  const bar = html(
    'div',
    { class: 'progress indefinite', role: 'progressbar', 'aria-label': 'Progress', 'aria-valuemin': 0, 'aria-valuemax': 100 },
    fill,
  );
  return {
    element: html('div', { class: 'progress-block' }, bar, words),
    set: (text, { done, total }) => {
      words.textContent = text;
      bar.classList.toggle('indefinite', total === null || total === 0);
      if (total === null || total === 0) return;
      const percent = Math.min(100, Math.round((100 * done) / total));
      fill.style.width = `${percent}%`;
      bar.setAttribute('aria-valuenow', String(percent));
    },
  };
}
