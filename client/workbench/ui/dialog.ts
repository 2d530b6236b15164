import { append, type Child, html, uniqueId } from './dom.ts';
import { icon } from './icons.ts';
import { messageOf } from './resource.ts';

export interface DialogOptions {
  readonly title: string;
  readonly wide?: boolean;
  /** Fills the dialog; `life` ends when it is closed. */
  content(close: () => void, life: AbortSignal): Child;
}

/** What somebody who opens a dialog is about to fill in. */
const FIRST_FIELD = '.form :is(input, textarea, select)';

/** Those that are open, the topmost last. */
const opened = new Set<HTMLDialogElement>();

/** Closes whatever is open, as when the session ends to which it belongs. */
export function closeDialogs(): void {
  for (const dialog of [...opened].reverse()) dialog.close();
}

/** Opens a dialog above the page and resolves when it is closed; the focus goes back to where it was. */
export function openDialog({ title, wide = false, content }: DialogOptions): Promise<void> {
  const titleId = uniqueId('dialog');
  const life = new AbortController();
  const closed = Promise.withResolvers<void>();
  const dialog = html('dialog', { class: wide ? 'dialog wide' : 'dialog', 'aria-labelledby': titleId });
  const close = (): void => dialog.close();
  opened.add(dialog);
  dialog.addEventListener('close', () => {
    opened.delete(dialog);
    life.abort();
    dialog.remove();
    closed.resolve();
  });
  // A press on what lies around the dialog closes it, like Escape does.
  dialog.addEventListener('pointerdown', (event) => event.target === dialog && close());
  append(dialog, [
    html(
      'div',
      { class: 'dialog-body' },
      html(
        'header',
        { class: 'dialog-head' },
        html('h2', { id: titleId }, title),
        html('button', { type: 'button', class: 'button quiet square', 'aria-label': 'Close', on: { click: close } }, icon('close')),
      ),
      content(close, life.signal),
    ),
  ]);
  document.body.append(dialog);
  dialog.showModal();
  // The browser would choose the button that closes it, which comes first.
  (dialog.querySelector<HTMLElement>('[autofocus]') ?? dialog.querySelector<HTMLElement>(FIRST_FIELD))?.focus();
  return closed.promise;
}

export interface FormOptions {
  readonly title: string;
  readonly submit: string;
  readonly danger?: boolean;
  readonly intro?: Child;
  readonly fields: readonly Child[];
  /** Does what the form is for; what it throws is shown in the form, which stays open. */
  send(values: FormData, form: HTMLFormElement): Promise<void>;
}

/** A dialog with a form. */
export function openForm({ title, submit, danger = false, intro, fields, send }: FormOptions): Promise<void> {
  return openDialog({
    title,
    content: (close) => {
      const fault = html('p', { class: 'form-fault', role: 'alert' });
      const button = html('button', { type: 'submit', class: danger ? 'button danger' : 'button primary' }, submit);
      const form: HTMLFormElement = html(
        'form',
        { class: 'form', method: 'dialog', novalidate: true },
        intro !== undefined && html('div', { class: 'form-intro' }, intro),
        fields,
        html('div', { class: 'form-actions' }, fault, html('button', { type: 'button', class: 'button', on: { click: close } }, 'Cancel'), button),
      );
      form.addEventListener('submit', (event) => {
        event.preventDefault();
        fault.textContent = '';
        if (!form.reportValidity()) return;
        button.disabled = true;
        send(new FormData(form), form)
          .then(close, (error: unknown) => {
            fault.textContent = messageOf(error);
          })
          .finally(() => {
            button.disabled = false;
          });
      });
      return form;
    },
  });
}

export interface FieldOptions {
  readonly label: string;
  readonly name: string;
  readonly value?: string | undefined;
  readonly placeholder?: string;
  readonly hint?: string;
  readonly required?: boolean;
  readonly type?: string;
  readonly lines?: number;
  /** Most characters that can be written. */
  readonly charsMax?: number;
}

/** A labelled line or box of text. */
export function textField({ label, name, value, placeholder, hint, required, type = 'text', lines, charsMax }: FieldOptions): HTMLElement {
  const id = uniqueId('field');
  const common = {
    id,
    name,
    placeholder,
    maxlength: charsMax,
    required: required === true,
    class: 'input',
    'aria-describedby': hint === undefined ? undefined : `${id}-hint`,
  };
  const input =
    lines === undefined ? html('input', { ...common, type, autocomplete: 'off', value }) : html('textarea', { ...common, rows: lines }, value);
  return html(
    'div',
    { class: 'field' },
    html('label', { for: id }, label),
    input,
    hint !== undefined && html('p', { class: 'hint', id: `${id}-hint` }, hint),
  );
}

export interface Choice {
  readonly value: string;
  readonly label: string;
}

/** A labelled choice of one of a few. */
export function choiceField(options: {
  readonly label: string;
  readonly name: string;
  readonly value?: string;
  readonly choices: readonly Choice[];
  readonly hint?: string;
}): HTMLElement {
  const id = uniqueId('field');
  const choices = options.choices.map(({ value, label }) => html('option', { value, selected: value === options.value }, label));
  return html(
    'div',
    { class: 'field' },
    html('label', { for: id }, options.label),
    html('select', { id, name: options.name, class: 'input' }, choices),
    options.hint !== undefined && html('p', { class: 'hint' }, options.hint),
  );
}

export const textOf = (values: FormData, name: string): string => String(values.get(name) ?? '').trim();
