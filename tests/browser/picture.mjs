// SPDX-License-Identifier: Apache-2.0
/** Fills the window with the page, runs one product, and tells screenshot.mjs, which lets this document finish loading. */
const frame = document.createElement('iframe');
const query = new URLSearchParams(location.search);
// The window is smaller than the picture while the document loads.
frame.width = query.get('width') ?? '';
frame.height = query.get('height') ?? '';
frame.style.cssText = 'position:absolute;inset:0;border:0';
frame.src = `/?${query}`;
frame.addEventListener('load', async () => {
  const page = /** @type {Document} */ (frame.contentDocument);
  const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const press = async () => {
    /** @type {any} */ (page.querySelector('#run')).click();
    do await sleep(20); while (/** @type {any} */ (page.querySelector('#run')).disabled);
  };
  await sleep(500);
  if (query.get('run') !== null) {
    await press(); // once to warm up, once for the picture
    await press();
  }
  await sleep(600);
  await fetch('/shown', { method: 'POST' });
});
document.body.append(frame);
