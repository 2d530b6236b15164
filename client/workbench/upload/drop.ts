import { html } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';

interface DropOptions {
  readonly life: AbortSignal;
  /** What happens when the files are let go. */
  readonly label: () => string;
  readonly accept: (files: readonly File[]) => void;
}

/** Lets files be dropped anywhere on the window while `place` is shown, and says what will happen. */
export function acceptFiles(place: HTMLElement, { life, label, accept }: DropOptions): void {
  const words = html('p', {});
  const curtain = html('div', { class: 'drop-curtain', hidden: true }, html('div', {}, icon('upload'), words));
  place.append(curtain);
  const carriesFiles = (event: DragEvent): boolean =>
    event.dataTransfer?.types.includes('Files') === true && document.querySelector('dialog[open]') === null;
  const listen = (type: 'dragenter' | 'dragover' | 'dragleave' | 'drop', run: (event: DragEvent) => void): void =>
    addEventListener(type, (event) => carriesFiles(event) && run(event), { signal: life });
  listen('dragenter', () => {
    words.textContent = label();
    curtain.hidden = false;
  });
  listen('dragover', (event) => event.preventDefault());
  listen('dragleave', (event) => {
    if (event.relatedTarget === null) curtain.hidden = true;
  });
  listen('drop', (event) => {
    event.preventDefault();
    curtain.hidden = true;
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length > 0) accept(files);
  });
}

/** A place to drop files on, or to press. */
export function dropZone(accept: (files: readonly File[]) => void): HTMLElement {
  const input = html('input', { type: 'file', class: 'visually-hidden', tabindex: '-1', 'aria-label': 'Choose a file' });
  input.addEventListener('change', () => accept([...(input.files ?? [])]));
  return html(
    'div',
    {},
    html(
      'button',
      { type: 'button', class: 'drop-zone', on: { click: () => input.click() } },
      icon('upload'),
      html('span', { class: 'strong' }, 'Drop a file here, or choose one'),
      html('span', { class: 'muted' }, 'CSV, TSV, JSON, NDJSON, Parquet or Arrow, also gzip or zstd'),
    ),
    input,
  );
}
