import { type Child, html, live } from '../ui/dom.ts';
import { icon } from '../ui/icons.ts';
import { menuButton } from '../ui/menu.ts';
import type { App } from './app.ts';
import { avatar } from './avatar.ts';
import { connectionBadge, offlineBanner } from './connection-badge.ts';
import { chooseTheme } from './theme.ts';

export interface Crumb {
  readonly label: string;
  readonly link?: string;
}

/** The frame around every page: where one is, whether the server is there, who one is. */
export interface Shell {
  readonly element: HTMLElement;
  /** Where pages are put. */
  readonly main: HTMLElement;
  /** What stands at the right of the bar beside the connection, such as who else is here. */
  readonly aside: HTMLElement;
  setCrumbs(crumbs: readonly Crumb[]): void;
}

export function createShell(app: App, life: AbortSignal): Shell {
  const crumbs = html('ol', { class: 'crumbs' });
  const main = html('main', { class: 'main', id: 'main', tabindex: '-1' });
  const aside = html('div', { class: 'bar-aside' });
  const bar = html(
    'header',
    { class: 'bar' },
    html('a', { class: 'skip', href: '#main', on: { click: (event) => skipTo(event, main) } }, 'Skip to content'),
    html('a', { class: 'brand', href: '#/', 'aria-label': 'Covista, all datasets' }, logo(), html('span', {}, 'Covista')),
    html('nav', { 'aria-label': 'Where you are' }, crumbs),
    html('div', { class: 'bar-space' }),
    aside,
    connectionBadge(life, app.connection),
    themeButton(app, life),
    menuButton({
      label: `Signed in as ${app.subject}`,
      class: 'button quiet account',
      face: [avatar(app.subject), html('span', { class: 'account-name' }, app.subject), icon('down')],
      entries: [{ label: 'Sign out', icon: 'leave', run: app.signOut }],
    }),
  );
  const element = html('div', { class: 'shell' }, bar, offlineBanner(life, app.connection), main);
  return {
    element,
    main,
    aside,
    setCrumbs: (list) => {
      document.title = [...list.map(({ label }) => label).reverse(), 'Covista'].join(' · ');
      crumbs.replaceChildren(
        ...list.map(({ label, link }) =>
          html('li', {}, link === undefined ? html('span', { 'aria-current': 'page' }, label) : html('a', { href: link }, label)),
        ),
      );
    },
  };
}

function skipTo(event: Event, main: HTMLElement): void {
  event.preventDefault();
  main.focus();
}

export function logo(): Child {
  return html('span', { class: 'logo', 'aria-hidden': 'true' });
}

function themeButton(app: App, life: AbortSignal): HTMLElement {
  return live(life, app.theme, (theme) => {
    const other = theme === 'dark' ? 'light' : 'dark';
    const choose = (): void => chooseTheme(app.theme, other);
    return html(
      'button',
      { type: 'button', class: 'button quiet square', 'aria-label': `Switch to ${other} colours`, on: { click: choose } },
      icon(theme === 'dark' ? 'sun' : 'moon'),
    );
  });
}
