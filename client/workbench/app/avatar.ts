import { html } from '../ui/dom.ts';

/** As many hues as one can tell apart beside each other. */
const HUES = 12;

/** A colour that belongs to a person: the same in every window. */
export function hueOf(subject: string): number {
  let hash = 2166136261;
  for (const character of subject) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16777619);
  return ((hash >>> 0) % HUES) * (360 / HUES);
}

export function initialsOf(subject: string): string {
  const words = subject.split(/[\s._@-]+/).filter((word) => word !== '');
  const letters = words.length > 1 ? [words[0], words[1]] : [words[0]];
  return letters.map((word) => [...(word ?? '?')][0]?.toUpperCase() ?? '?').join('');
}

/** A person as a coloured circle; the name is beside it or in its title. */
export function avatar(subject: string, size: 'small' | 'normal' = 'normal'): HTMLElement {
  // The initials are drawn by the style sheet: as text they would be read as a part of what the circle stands beside.
  const attributes = { class: `avatar ${size}`, style: `--hue: ${hueOf(subject)}`, 'data-initials': initialsOf(subject) };
  return html('span', { ...attributes, title: subject, 'aria-hidden': 'true' });
}

/** A person by circle and name. */
export function person(subject: string): HTMLElement {
  return html('span', { class: 'person' }, avatar(subject, 'small'), html('span', {}, subject));
}
