import { Signal } from '../ui/signal.ts';

export type Theme = 'light' | 'dark';

const KEY = 'covista-theme';

/** Light or dark: what the person chose here before, or else what their system prefers, as long as they choose nothing. */
export function openTheme(): Signal<Theme> {
  const prefersDark = matchMedia('(prefers-color-scheme: dark)');
  const stored = localStorage.getItem(KEY);
  const preferred = (): Theme => (prefersDark.matches ? 'dark' : 'light');
  const theme = new Signal<Theme>(stored === 'light' || stored === 'dark' ? stored : preferred());
  prefersDark.addEventListener('change', () => {
    if (localStorage.getItem(KEY) === null) theme.set(preferred());
  });
  theme.watch(new AbortController().signal, (value) => {
    document.documentElement.dataset.theme = value;
  });
  return theme;
}

export function chooseTheme(theme: Signal<Theme>, value: Theme): void {
  localStorage.setItem(KEY, value);
  theme.set(value);
}
