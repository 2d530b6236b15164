import { type Readable, shorterLife } from './signal.ts';

export type Child = Node | string | number | null | undefined | false | readonly Child[];

type Listener = (event: Event) => void;

/**
 * Attributes of an element: texts and numbers as they are, `true` as an empty attribute, `false` and `undefined` as none.
 * `on` holds listeners by event.
 */
export interface Attributes {
  readonly on?: Readonly<Record<string, Listener>>;
  readonly [name: string]: string | number | boolean | undefined | Readonly<Record<string, Listener>>;
}

export function html<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  decorate(element, attributes);
  append(element, children);
  return element;
}

export function svg<Tag extends keyof SVGElementTagNameMap>(tag: Tag, attributes: Attributes = {}, ...children: Child[]): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  decorate(element, attributes);
  append(element, children);
  return element;
}

function decorate(element: Element, { on = {}, ...attributes }: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
}

export function append(parent: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(parent, child);
    else parent.append(child instanceof Node ? child : String(child));
  }
}

export function replace(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

/** A part of the page that is drawn anew whenever a value changes; what is drawn lives until it is replaced. */
export function live<Value>(life: AbortSignal, source: Readable<Value>, draw: (value: Value, life: AbortSignal) => Child): HTMLElement {
  const place = html('div', { class: 'live' });
  let drawn: AbortController | undefined;
  source.watch(life, (value) => {
    drawn?.abort();
    drawn = shorterLife(life);
    replace(place, draw(value, drawn.signal));
  });
  return place;
}

let numbers = 0;
/** An id that no other element of the page has. */
export function uniqueId(prefix: string): string {
  numbers += 1;
  return `${prefix}-${numbers}`;
}

/** Runs something once an element is seen for the first time. */
export function whenSeen(element: Element, life: AbortSignal, run: () => void): void {
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
    observer.disconnect();
    run();
  });
  observer.observe(element);
  life.addEventListener('abort', () => observer.disconnect(), { once: true });
}

/** Enter sends, together with Shift it begins a new line. */
export function submitOnEnter(text: HTMLTextAreaElement, form: HTMLFormElement): void {
  text.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
}
