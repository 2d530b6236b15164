import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** Where Debian, and most others, put it; COVISTA_TEST_CHROMIUM names another place. */
const CHROMIUM = [process.env.COVISTA_TEST_CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => path !== undefined && existsSync(path),
);

/** Whether there is a browser to test in; `apt-get install chromium` brings one. */
export const hasBrowser = CHROMIUM !== undefined;

/** It must talk to the server of the test and to nobody else. */
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const launchBrowser = (...args: readonly string[]): Promise<Browser> =>
  chromium.launch({ executablePath: CHROMIUM ?? '', args: [...QUIET, ...args] });
