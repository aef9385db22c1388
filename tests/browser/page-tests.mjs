// SPDX-License-Identifier: Apache-2.0
/** The page in a frame, driven as a person would: what it shows, in which colours, in which words. */
import { equal, ok, test } from './suite.mjs';
import { readNpy } from '../web/npy.mjs';

/** @typedef {Window & typeof globalThis & {document: Document}} Frame */

/** Exceptions that the page did not catch. @type {string[]} */
let problems = [];

/** Opens the page anew.
 * @param {string} query
 * @param {number} [width]
 * @returns {Promise<Frame>} */
async function open(query, width = 1200) {
  document.querySelector('iframe')?.remove();
  const frame = document.createElement('iframe');
  frame.width = String(width);
  frame.height = '1000';
  frame.src = `/${query}`;
  document.body.append(frame);
  problems = [];
  await new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }));
  const page = /** @type {Frame} */ (frame.contentWindow);
  page.addEventListener('error', (event) => problems.push(event.message));
  page.addEventListener('unhandledrejection', (event) => problems.push(String(event.reason)));
  await until(() => page.document.querySelector('#server')?.textContent !== 'looking for the server…', 'the page starts');
  return page;
}

/** @param {() => unknown} condition
 * @param {string} what
 * @param {number} [ms] */
async function until(condition, what, ms = 30_000) {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** @param {Frame} page
 * @param {string} selector
 * @returns {any} */
function get(page, selector) {
  const found = page.document.querySelector(selector);
  ok(found, `the page has ${selector}`);
  return found;
}

/** Sets a field as typing does.
 * @param {Frame} page
 * @param {any} field
 * @param {string} value */
function enter(page, field, value) {
  field.value = value;
  field.dispatchEvent(new page.Event('input', { bubbles: true }));
}

/** @param {Frame} page
 * @param {string} id */
const text = (page, id) => get(page, `#${id}`).textContent;

/** Chooses a file for an operand.
 * @param {Frame} page
 * @param {0 | 1} which
 * @param {BlobPart[]} parts
 * @param {string} name */
function give(page, which, parts, name) {
  const transfer = new page.DataTransfer();
  transfer.items.add(new page.File(parts, name));
  const pick = /** @type {any} */ (choose(page, which, 'file').querySelector('.pick'));
  pick.files = transfer.files;
  pick.dispatchEvent(new page.Event('change'));
}

/** The head of a .npy file.
 * @param {string} dictionary
 * @returns {BlobPart[]} */
function npyHead(dictionary) {
  const header = `${dictionary.padEnd(117)}\n`;
  return [Uint8Array.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0]), header];
}

/** @param {Frame} page
 * @param {0 | 1} which
 * @param {'made' | 'text' | 'file'} source */
function choose(page, which, source) {
  const card = page.document.querySelectorAll('.operand')[which];
  /** @type {any} */ (card.querySelector(`.tabs [value="${source}"]`)).click();
  return card;
}

/** Presses Multiply and waits for the end.
 * @param {Frame} page */
async function run(page) {
  get(page, '#run').click();
  await until(() => !get(page, '#run').disabled, `the product ends (${text(page, 'state')})`, 60_000);
}

/** Both operands of integers.
 * @param {Frame} page */
function integers(page) {
  for (const select of page.document.querySelectorAll('.filling')) enter(page, select, 'integers');
}

/** Worker names of the legend.
 * @param {Frame} page */
const legend = (page) => [...page.document.querySelectorAll('#legend-rows th')].map((th) => th.textContent ?? '');

/** Part of the canvas that is painted, of a grid of points.
 * @param {Frame} page */
function painted(page) {
  const canvas = get(page, '#mosaic');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let full = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] === 255) full++;
  return full / (data.length / 4);
}

/** @param {string[]} workers */
export async function checkPage(workers) {
  const list = workers.map((url) => `&worker=${encodeURIComponent(url)}`).join('');

  await test('page: what is typed, in this tab', async () => {
    const page = await open('');
    choose(page, 0, 'text');
    choose(page, 1, 'text');
    await run(page);
    equal(text(page, 'state'), 'done', 'state');
    equal(text(page, 'check'), 'exact', 'check');
    equal([...page.document.querySelectorAll('#corner td')].map((td) => td.textContent).join(' '), '58 64 139 154', 'numbers');
    ok(get(page, '#numbers').open, 'a small product shows its numbers');
    equal(legend(page).join(), 'this tab', 'legend');
  });

  await test('page: a made product in this tab fills the picture and leaves the page responsive', async () => {
    const page = await open('?n=2048');
    integers(page);
    let longest = 0;
    let last = performance.now();
    const start = last;
    const ticking = setInterval(() => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    }, 10);
    await run(page);
    clearInterval(ticking);
    const took = performance.now() - start;
    equal(text(page, 'check'), 'exact', 'check');
    await new Promise((resolve) => setTimeout(resolve, 600)); // the tiles have appeared
    ok(painted(page) > 0.9, `the picture is full: ${painted(page)}`);
    ok(/GFLOP\/s$/.test(text(page, 'speed')) && /s$/.test(text(page, 'time')), 'figures');
    ok(longest < took / 3, `the page stood still for ${longest} of ${took} ms`);
    equal(get(page, '#progress').value, 1, 'progress');
  });

  for (const where of ['proxy', 'adaptive', 'server']) {
    await test(`page: ${where}`, async () => {
      const page = await open(`?n=200&where=${where}${list}`);
      integers(page);
      await run(page);
      equal(text(page, 'state'), 'done', `state (${text(page, 'error')})`);
      equal(text(page, 'check'), 'exact', 'check');
      if (where === 'proxy') ok(!legend(page).includes('this tab'), `all by workers: ${legend(page)}; ${text(page, 'notes')}`);
      ok(Number(text(page, 'tiles')) >= 1, 'tiles');
      equal(get(page, '#save').disabled, false, 'the product can be saved');
    });
  }

  await test('page: workers that nobody runs: computed here, and told', async () => {
    const page = await open('?n=64&where=proxy&worker=http://127.0.0.1:1');
    integers(page);
    await run(page);
    equal(text(page, 'check'), 'exact', 'check');
    equal(legend(page).includes('this tab'), true, `legend: ${legend(page)}`);
    ok(get(page, '#notes li').textContent.length > 10, 'a note');
  });

  await test('page: a .npy file in, a .npy file out', async () => {
    const page = await open('');
    give(page, 0, [...npyHead("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }"), new Float64Array([1, 4, 2, 5, 3, 6])], 'a.npy');
    const other = choose(page, 1, 'text');
    enter(page, other.querySelector('.dtype'), 'float64');
    await run(page);
    equal(text(page, 'error'), '', 'error');
    equal(text(page, 'check'), 'exact', 'check');
    /** @type {Promise<Blob>} */
    const saved = new Promise((resolve) => {
      const original = page.URL.createObjectURL;
      page.URL.createObjectURL = (/** @type {any} */ blob) => { resolve(blob); return original.call(page.URL, blob); };
    });
    page.HTMLAnchorElement.prototype.click = () => {};
    get(page, '#save').click();
    const product = readNpy(await (await saved).arrayBuffer());
    equal(`${product.rows} ${product.cols} ${product.dtype} ${product.data}`, '2 2 float64 58,64,139,154', 'the file');
  });

  await test('page: mistakes are told in words, at their place', async () => {
    const page = await open('');
    const error = (/** @type {number} */ which) => page.document.querySelectorAll('.operand .error')[which];
    const card = choose(page, 0, 'text');
    enter(page, card.querySelector('.typed'), '1 2\n3 x');
    get(page, '#run').click();
    ok(/row 2, column 2: “x” is not a number/.test(error(0).textContent ?? ''), `A: ${error(0).textContent}`);
    equal(get(page, '#run').disabled, false, 'nothing runs');
    enter(page, card.querySelector('.typed'), '1 2\n3 4');
    equal(/** @type {any} */ (error(0)).hidden, true, 'the error goes when it is mended');
    choose(page, 1, 'text');
    await run(page);
    ok(/B needs 2 rows; it has 3/.test(error(1).textContent ?? ''), `B: ${error(1).textContent}`);
    choose(page, 1, 'file');
    get(page, '#run').click();
    ok(/Choose a .npy file for B/.test(error(1).textContent ?? ''), `B: ${error(1).textContent}`);
    /** @type {any} */ (page.document.querySelector('[name="place"][value="proxy"]')).click();
    choose(page, 1, 'made');
    enter(page, get(page, '#workers'), 'no url');
    get(page, '#run').click();
    ok(/is not a URL/.test(text(page, 'workers-error')), text(page, 'workers-error'));
  });

  await test('page: files that are no matrix, or too large, are told at once', async () => {
    const page = await open('');
    const head = npyHead("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }");
    const block = new Blob([new Uint8Array(64 << 20)]);
    const large = npyHead("{'descr': '<f8', 'fortran_order': False, 'shape': (16384, 18432), }");
    const cases = /** @type {[string, BlobPart[], RegExp][]} */ ([
      ['picture.png', ['PNG and some more text, far from NumPy'], /This is not a .npy file/], ['empty.npy', [], /This is not a .npy file/],
      ['cut.npy', [...head, new Float64Array(5)], /2 × 3 elements need 48 bytes, but the .npy file has 40/], ['head.npy', head.slice(0, 1), /This is not a .npy file|ends inside its header/],
      ['large.npy', [...large, ...Array(36).fill(block)], /2.3 GiB.*takes files of up to 2.0 GiB/], ['large.bin', Array(37).fill(block), /This is not a .npy file/],
    ]);
    for (const [name, parts, words] of cases) {
      give(page, 0, parts, name);
      await run(page);
      const told = page.document.querySelector('.operand .error')?.textContent ?? '';
      ok(words.test(told), `${name}: ${told || text(page, 'error')}`);
    }
    equal(problems.join(), '', 'exceptions');
    choose(page, 0, 'text');
    choose(page, 1, 'text');
    await run(page);
    equal(text(page, 'check'), 'exact', 'the next product');
  });

  await test('page: matrices over the limit are told before they are made', async () => {
    for (const where of ['serial', 'server']) {
      const page = await open(`?n=16384&where=${where}`);
      for (const select of page.document.querySelectorAll('.dtype')) enter(page, select, 'float64');
      const start = performance.now();
      await run(page);
      ok(/A and B have 4.0 GiB.* (this tab|the server) takes [\d.]+ [MG]iB/.test(text(page, 'error')), `${where}: ${text(page, 'error')}`);
      ok(performance.now() - start < 3000, `${performance.now() - start} ms`);
    }
  });

  await test('page: workers that cannot be, at their field', async () => {
    const page = await open('?n=64&where=proxy');
    for (const [list, words] of /** @type {[string, RegExp][]} */ ([
      ['', /at least one worker/], ['http://', /is not a URL/], ['ftp://127.0.0.1:8081', /http:\/\/ or https:\/\//], ['http://u:p@127.0.0.1:8081', /no user name/],
      ['http:127.0.0.1:8081', /starts with http:\/\/ or https:\/\/: "http:127/], [`http://x/${'a'.repeat(247)}`, /at most 255 characters, not 256/],
      ['http://127.0.0.1:8081 http://127.0.0.1:8082\nhttp://127.0.0.1:8081/', /“http:\/\/127.0.0.1:8081\/” is there twice/]])) {
      enter(page, get(page, '#workers'), list);
      get(page, '#run').click();
      ok(words.test(text(page, 'workers-error')) && !get(page, '#workers-error').hidden, `${list}: ${text(page, 'workers-error')}`);
      equal(get(page, '#run').disabled, false, 'nothing runs');
    }
    enter(page, get(page, '#workers'), workers[0]);
    equal(get(page, '#workers-error').hidden, true, 'the error goes when it is mended');
    await run(page);
    equal(text(page, 'state'), 'done', text(page, 'error'));
  });

  await test('page: on the server, where there is none: told, and this tab is chosen', async () => {
    await fetch('/test/server', { method: 'POST', body: 'gone' });
    try {
      const page = await open('?n=64&where=server');
      integers(page);
      ok(/no server/.test(text(page, 'state')), `state: ${text(page, 'state')}`);
      equal(get(page, '[name="place"][value="server"]').disabled, true, 'it cannot be chosen');
      equal(get(page, '[name="place"]:checked').value, 'serial', 'what is chosen');
      await run(page);
      equal(text(page, 'check'), 'exact', `check (${text(page, 'error')})`);
      equal(problems.join(), '', 'exceptions');
    } finally {
      await fetch('/test/server', { method: 'POST', body: 'there' });
    }
  });

  await test('page: on a phone nothing is wider than the screen, whatever is shown', async () => {
    const page = await open('?n=300&where=server', 360);
    integers(page);
    const fits = (/** @type {string} */ when) => {
      const { scrollWidth, clientWidth } = page.document.documentElement;
      ok(scrollWidth <= clientWidth, `${when}: ${scrollWidth} of ${clientWidth} points`);
    };
    fits('empty');
    get(page, '#numbers').open = true;
    await run(page);
    equal(text(page, 'check'), 'exact', `check (${text(page, 'error')})`);
    await new Promise((resolve) => setTimeout(resolve, 200));
    fits('numbers');
    ok(get(page, '#mosaic').getBoundingClientRect().right < get(page, '#stage').getBoundingClientRect().right, 'the picture is in its box');
    give(page, 0, ['no matrix'], `${'long-'.repeat(20)}name.npy`);
    await run(page);
    const summary = get(page, '.operand .summary').getBoundingClientRect();
    ok(summary.width > 20 && summary.right <= get(page, '.operand .tabs').getBoundingClientRect().left, 'a long name stays beside the tabs');
    fits('a long name');
  });

  await test('page: stop, and go on', async () => {
    const page = await open(`?n=2048&where=serial`);
    integers(page);
    get(page, '#run').click();
    await until(() => text(page, 'state').startsWith('multiplying') || text(page, 'state').includes('%'), 'it begins');
    get(page, '#stop').click();
    await until(() => !get(page, '#run').disabled, 'it stops', 8000);
    ok(/stopped|done/.test(text(page, 'state')), text(page, 'state'));
    choose(page, 0, 'text');
    choose(page, 1, 'text');
    await run(page);
    equal(text(page, 'check'), 'exact', 'the next product');
  });
}
