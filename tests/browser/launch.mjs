// SPDX-License-Identifier: Apache-2.0
/**
 * Starts a headless browser directly, without a driver between, on a profile of
 * its own; whoever starts it hears from the page by HTTP.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BROWSERS = {
  chromium: {
    programs: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'],
    args: (/** @type {string} */ profile, /** @type {string} */ url) => ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--window-size=1300,1100', `--user-data-dir=${profile}`, url],
    prefs: '',
  },
  firefox: {
    programs: ['/usr/bin/firefox-esr', '/usr/bin/firefox'],
    args: (/** @type {string} */ profile, /** @type {string} */ url) => ['--headless', '--no-remote', '--profile', profile, url],
    // No first-run pages, no background requests.
    prefs: ['browser.shell.checkDefaultBrowser', 'datareporting.policy.dataSubmissionEnabled', 'app.update.enabled', 'browser.aboutwelcome.enabled', 'network.captive-portal-service.enabled', 'network.connectivity-service.enabled']
      .map((name) => `user_pref("${name}", false);\n`).join(''),
  },
};

/** @typedef {keyof typeof BROWSERS} BrowserName */

/** @param {string | undefined} name
 * @returns {name is BrowserName} */
export const isBrowser = (name) => name !== undefined && Object.hasOwn(BROWSERS, name);

/** Its program; undefined: it is not installed.
 * @param {BrowserName} name */
export const programOf = (name) => BROWSERS[name].programs.find(existsSync);

/**
 * @param {BrowserName} name
 * @param {string} program
 * @param {string} url
 * @param {(why: string) => void} ended it ended by itself
 * @returns {Promise<() => Promise<void>>} what ends it and removes its profile
 */
export async function launch(name, program, url, ended) {
  const browser = BROWSERS[name];
  const profile = await mkdtemp(join(tmpdir(), 'tessera-browser-'));
  await writeFile(join(profile, 'user.js'), browser.prefs);
  const child = spawn(program, browser.args(profile, url), { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  let stderr = '';
  child.stderr.on('data', (text) => { stderr = (stderr + text).slice(-4000); });
  child.once('error', (error) => ended(`the browser cannot be started: ${error.message}`));
  child.once('exit', (code) => ended(`the browser ended with ${code}:\n${stderr}`));
  return async () => {
    child.removeAllListeners('exit');
    try {
      process.kill(-(/** @type {number} */ (child.pid)), 'SIGKILL'); // its own process group: the browser and its children
    } catch { /* it has ended */ }
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
}
