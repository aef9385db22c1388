// SPDX-License-Identifier: Apache-2.0
/** The page: reads the form, gives orders to engine.mjs (a Web Worker), shows what it tells. */
import { workerUrl } from '../wasm/js/options.mjs';
import { Mosaic } from './mosaic.mjs';
import { find, Operand } from './operand.mjs';
import { duration, headline, number, size, speed } from './words.mjs';

/** @typedef {import('./engine.mjs').News} News
 * @typedef {import('./engine.mjs').Order} Order */

/** The module does not give way within this time after Stop: the engine is replaced. */
const STOP_PATIENCE_MS = 3000;

/** @param {string} id */
const byId = (id) => find(document, `#${id}`, HTMLElement);
const form = find(document, '#form', HTMLFormElement);
const runButton = find(document, '#run', HTMLButtonElement);
const stopButton = find(document, '#stop', HTMLButtonElement);
const saveButton = find(document, '#save', HTMLButtonElement);
const workersText = find(document, '#workers', HTMLTextAreaElement);
const progress = find(document, '#progress', HTMLProgressElement);
const canvas = find(document, '#mosaic', HTMLCanvasElement);
const mosaic = new Mosaic(canvas);
const operandA = new Operand(byId('operand-a'), 'A', { typed: '1 2 3\n4 5 6', onChange: () => showPlan() });
const operandB = new Operand(byId('operand-b'), 'B', { typed: '7 8\n9 10\n11 12', onChange: () => showPlan() });

/** What is known of the product on the stage. */
const shown = { rows: 0, cols: 0, covered: 0, tiles: 0, busy: false, began: 0 };
/** Worker → what it did, from the tiles as they come and then from the stats.
 * @type {Map<string, {kernel: string, tiles: number, elements: number, computeMs: number, failures: number}>} */
const workers = new Map();

let engine = startEngine();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let impatience;

function startEngine() {
  const worker = new Worker(new URL('engine.mjs', import.meta.url), { type: 'module' });
  worker.onmessage = (/** @type {MessageEvent<News>} */ { data }) => hear(data);
  worker.onerror = (event) => {
    event.preventDefault();
    showProblem('internal', event.message || 'the engine of this page could not be started');
    setBusy(false);
  };
  return worker;
}

/** @param {Order} order */
const tell = (order) => engine.postMessage(order);

// ---- the form ----

function placeChosen() {
  return /** @type {import('./engine.mjs').Place} */ (new FormData(form).get('place'));
}

function showPlan() {
  const oriented = (/** @type {Operand} */ operand) => {
    const shape = operand.shape;
    return shape !== undefined && operand.transpose ? [shape[1], shape[0]] : shape;
  };
  const a = oriented(operandA);
  const b = oriented(operandB);
  const fits = a !== undefined && b !== undefined && a[1] === b[0];
  byId('plan').textContent = a === undefined || b === undefined ? ''
    : fits ? `gives ${a[0]} × ${b[1]}` : `the columns of A (${a[1]}) are not the rows of B (${b[0]})`;
}

/** What is wrong with a worker, or ''.
 * @param {string} url
 * @param {number} at in the list
 * @param {string[]} list */
function workerProblem(url, at, list) {
  try {
    const { href } = workerUrl(url);
    return list.slice(0, at).some((other) => workerUrl(other).href === href) ? `“${url}” is there twice.` : '';
  } catch (error) {
    if (!URL.canParse(url)) return `“${url}” is not a URL such as http://127.0.0.1:8081.`;
    return `${/** @type {Error} */ (error).message.replace(/^./, (letter) => letter.toUpperCase())}.`;
  }
}

/** The workers that are typed, or undefined and a word about it. */
function workerList() {
  const error = byId('workers-error');
  const list = workersText.value.split(/\s+/).filter((word) => word !== '');
  const why = list.length === 0 ? 'Give at least one worker.' : list.map(workerProblem).find((one) => one !== '') ?? '';
  error.textContent = why;
  error.hidden = why === '';
  workersText.setAttribute('aria-invalid', String(why !== ''));
  return why === '' ? list : undefined;
}

function placeChanged() {
  const place = placeChosen();
  byId('workers-field').hidden = place !== 'proxy' && place !== 'adaptive';
}

form.addEventListener('input', placeChanged);
workersText.addEventListener('input', () => { if (!byId('workers-error').hidden) workerList(); });
form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (shown.busy) return;
  const place = placeChosen();
  const needsWorkers = place === 'proxy' || place === 'adaptive';
  const list = needsWorkers ? workerList() : [];
  const wrong = [operandA, operandB].filter((operand) => !operand.check());
  if (wrong.length > 0) wrong[0].focus();
  else if (list === undefined) workersText.focus();
  else begin({ do: 'multiply', place, workers: list, a: operandA.spec(), b: operandB.spec(), transposeA: operandA.transpose, transposeB: operandB.transpose });
});

stopButton.addEventListener('click', () => {
  tell({ do: 'stop' });
  stopButton.disabled = true;
  say('stopping…');
  impatience = setTimeout(() => {
    engine.terminate();
    engine = startEngine();
    stopped();
  }, STOP_PATIENCE_MS);
});

saveButton.addEventListener('click', () => tell({ do: 'save' }));

// ---- what the engine tells ----

/** @param {Order} order */
function begin(order) {
  setBusy(true);
  byId('error').hidden = true;
  byId('notes').hidden = true;
  byId('legend').hidden = true;
  byId('numbers').hidden = true;
  saveButton.disabled = true;
  for (const id of ['time', 'speed', 'tiles', 'check']) figure(id, '–');
  workers.clear();
  Object.assign(shown, { covered: 0, tiles: 0, began: performance.now() });
  progress.value = 0;
  say('preparing the matrices…');
  const section = find(document, '.result', HTMLElement);
  if (section.getBoundingClientRect().top > window.innerHeight * 0.6) section.scrollIntoView(); // one column: it lies below
  tell(order);
}

/** @param {News} news */
function hear(news) {
  switch (news.is) {
    case 'begun': return begun(news);
    case 'tile': return tileCame(news);
    case 'computed': return computed(news);
    case 'checked': return checked(news);
    case 'failed': return failed(news);
    case 'stopped': return stopped();
    case 'described': return described(news.server);
    default: return save(news.file, news.name);
  }
}

/** @param {Extract<News, {is: 'begun'}>} news */
function begun({ rows, cols, depth, dtype }) {
  Object.assign(shown, { rows, cols, began: performance.now() });
  byId('empty').hidden = true;
  byId('shape').textContent = `${rows} × ${cols}, ${dtype}, sums of ${depth}`;
  mosaic.clear(rows, cols);
  say('multiplying…');
}

/** @param {Extract<News, {is: 'tile'}>} tile */
function tileCame(tile) {
  mosaic.lay(tile);
  shown.tiles++;
  shown.covered += tile.rows * tile.cols;
  const all = shown.rows * shown.cols;
  const done = all > 0 ? shown.covered / all : 1;
  progress.value = done;
  figure('tiles', String(shown.tiles));
  figure('time', duration(performance.now() - shown.began));
  const known = workers.get(tile.worker) ?? { kernel: tile.kernel, tiles: 0, elements: 0, computeMs: 0, failures: 0 };
  known.tiles++;
  known.elements += tile.rows * tile.cols;
  known.computeMs += tile.computeMs;
  workers.set(tile.worker, known);
  showLegend();
  if (done < 1) say(`${Math.floor(done * 100)} % computed`);
}

/** @param {Extract<News, {is: 'computed'}>} news */
function computed({ elapsedMs, gflops, stats, streamed, corner }) {
  figure('time', duration(elapsedMs));
  figure('speed', speed(gflops));
  if (stats !== undefined) {
    for (const { worker, tiles, failures, computeMs } of stats.workers) {
      const known = workers.get(worker);
      if (known === undefined) workers.set(worker, { kernel: '', tiles, elements: 0, computeMs, failures });
      else Object.assign(known, { tiles, failures }); // the tiles told the time in the kernel themselves
    }
    if (stats.tiles > 0) figure('tiles', String(stats.tiles));
  }
  showLegend();
  showNotes(stats, streamed);
  showCorner(corner);
  canvas.setAttribute('aria-label', `The product, ${shown.rows} by ${shown.cols}, in ${shown.tiles} tiles, by ${[...workers.keys()].join(', ')}`);
  say('computed; checking…');
  saveButton.disabled = false;
}

/** @param {Extract<News, {is: 'checked'}>} news */
function checked({ ok, exact, error }) {
  const words = !ok ? 'wrong' : exact ? 'exact' : Number.isNaN(error) ? 'not finite' : `within ${error.toExponential(0).replace('-', '−')}`;
  figure('check', words, ok ? (Number.isNaN(error) ? '' : 'good') : 'bad');
  byId('check').title = 'Freivalds’ check: C·x against A·(B·x) for a random x; the largest difference, relative to |A|·|B|·|x|';
  if (!ok) showProblem('data_loss', `The product does not pass Freivalds’ check: C·x differs from A·(B·x) by ${error.toExponential(1)}, far more than rounding explains.`);
  say(ok ? 'done' : 'done, but the product is wrong');
  setBusy(false);
}

/** @param {Extract<News, {is: 'failed'}>} news */
function failed({ code, message, operand }) {
  if (operand !== undefined) {
    const card = operand === 'A' ? operandA : operandB;
    card.showError(`${message.replace(/^./, (letter) => letter.toUpperCase())}.`);
    card.focus();
    say('');
  } else {
    showProblem(code, message);
    say('not computed');
  }
  setBusy(false);
}

function stopped() {
  say('stopped');
  setBusy(false);
}

/** @param {import('./engine.mjs').Described | undefined} server */
function described(server) {
  const line = byId('server');
  if (server === undefined) {
    line.textContent = 'no server behind this page; this tab still computes';
    const choice = find(form, '[value="server"]', HTMLInputElement);
    if (choice.checked) { // a choice that is disabled would be none
      find(form, '[value="serial"]', HTMLInputElement).checked = true;
      if (!shown.busy) say('There is no server behind this page: “In this tab” is chosen instead.');
    }
    choice.disabled = true;
    return;
  }
  line.classList.add('found');
  const count = server.workers.length;
  line.textContent = `${server.name} ${server.version}, ${server.engine}, ${count === 0 ? 'no workers' : count === 1 ? '1 worker' : `${count} workers`}`;
  if (workersText.value === '') workersText.value = server.workers.join('\n');
}

/** @param {Blob} file
 * @param {string} name */
function save(file, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the download has begun long before
}

// ---- showing ----

/** @param {boolean} busy */
function setBusy(busy) {
  clearTimeout(impatience);
  shown.busy = busy;
  runButton.disabled = busy;
  stopButton.disabled = !busy;
  byId('stage').setAttribute('aria-busy', String(busy));
}

/** @param {string} text */
function say(text) {
  byId('state').textContent = text;
}

/** @param {string} id
 * @param {string} text
 * @param {string} [mood] */
function figure(id, text, mood = '') {
  byId(id).textContent = text;
  byId(id).className = mood;
}

/** @param {string} code
 * @param {string} message */
function showProblem(code, message) {
  const box = byId('error');
  const head = document.createElement('b');
  head.textContent = headline(code);
  box.replaceChildren(head, `${message} (${code})`);
  box.hidden = false;
}

/** @param {string} text
 * @param {string} [className] */
function cell(text, className = '') {
  const td = document.createElement('td');
  td.textContent = text;
  td.className = className;
  return td;
}

function showLegend() {
  const total = shown.rows * shown.cols;
  const rows = [...workers].map(([name, { kernel, tiles, elements, computeMs, failures }]) => {
    const row = document.createElement('tr');
    const who = document.createElement('th');
    who.scope = 'row';
    who.className = 'who';
    const swatch = document.createElement('span');
    swatch.className = 'swatch';
    swatch.style.background = mosaic.colourOf(name);
    who.append(swatch, name === 'local' && placeChosen() !== 'server' ? 'this tab' : name.replace(/^https?:\/\//, ''));
    row.append(who, cell(kernel || '–'), cell(String(tiles), 'number'), cell(`${Math.round((elements / total) * 100)} %`, 'number'),
      cell(computeMs > 0 ? duration(computeMs) : '–', 'number'), cell(String(failures), 'number'));
    return row;
  });
  byId('legend-rows').replaceChildren(...rows);
  byId('legend').hidden = rows.length === 0;
}

/** @param {import('../wasm/js/client.mjs').ProductStats | undefined} stats
 * @param {boolean} streamed */
function showNotes(stats, streamed) {
  const notes = [...(stats?.notes ?? [])];
  if (!streamed) notes.push('The product came in one piece: the other side does not stream tiles.');
  if (stats !== undefined && stats.retries > 0) notes.push(`${stats.retries} ${stats.retries === 1 ? 'tile was' : 'tiles were'} computed anew after a failure.`);
  const failing = [...workers].some(([name, { failures }]) => name !== 'local' && failures > 0);
  if (failing && placeChosen() !== 'server') notes.push('A worker that never answers this page may not allow it: start it with --cors \'*\'.');
  const sent = (stats?.workers ?? []).reduce((sum, worker) => sum + worker.bytesSent + worker.bytesReceived, 0);
  if (sent > 0) notes.push(`${size(sent)} went to workers and back.`);
  byId('notes').replaceChildren(...notes.map((text) => {
    const item = document.createElement('li');
    item.textContent = text;
    return item;
  }));
  byId('notes').hidden = notes.length === 0;
}

/** @param {number[][]} corner */
function showCorner(corner) {
  const cut = corner.length < shown.rows || corner.some((values) => values.length < shown.cols);
  const rows = corner.map((values) => {
    const row = document.createElement('tr');
    row.append(...values.map((value) => cell(number(value))));
    if (values.length < shown.cols) row.append(cell('…'));
    return row;
  });
  if (corner.length < shown.rows) {
    const row = document.createElement('tr');
    row.append(...corner[0].map(() => cell('⋮')));
    rows.push(row);
  }
  byId('corner').replaceChildren(...rows);
  const details = find(document, '#numbers', HTMLDetailsElement);
  details.hidden = false;
  details.open ||= !cut;
}

canvas.addEventListener('pointermove', (event) => {
  const tip = byId('tip');
  const stone = mosaic.at(event.offsetX, event.offsetY);
  tip.hidden = stone === undefined;
  if (stone === undefined) return;
  tip.textContent = `${stone.worker}${stone.kernel === '' ? '' : `, ${stone.kernel}`}\nrows ${stone.row} to ${stone.row + stone.rows - 1}, columns ${stone.col} to ${stone.col + stone.cols - 1}\n${duration(stone.computeMs)} in the kernel`;
  const stage = byId('stage');
  const x = canvas.offsetLeft + event.offsetX;
  const y = canvas.offsetTop + event.offsetY;
  tip.style.left = `${Math.max(0, Math.min(x + 14, stage.clientWidth - tip.offsetWidth))}px`;
  tip.style.top = `${Math.max(0, Math.min(y + 14, stage.clientHeight - tip.offsetHeight))}px`;
});
canvas.addEventListener('pointerleave', () => { byId('tip').hidden = true; });

// ---- start ----

/** "?n=512&where=adaptive&worker=URL" fills the form; nothing runs until a person says so. */
function fillFromAddress() {
  const wanted = new URLSearchParams(location.search);
  const n = Number(wanted.get('n'));
  if (Number.isInteger(n) && n >= 1 && n <= 16384) [operandA, operandB].forEach((operand) => operand.setSize(n));
  const place = [...form.querySelectorAll('[name="place"]')].find((input) => /** @type {HTMLInputElement} */ (input).value === wanted.get('where'));
  if (place instanceof HTMLInputElement) place.checked = true;
  workersText.value = wanted.getAll('worker').join('\n');
}

fillFromAddress();
placeChanged();
showPlan();
tell({ do: 'describe' });
