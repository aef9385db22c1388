// SPDX-License-Identifier: Apache-2.0
/** One operand's card: made, typed or from a file; its shape where it is known; its error. */
import { MatrixError, parseMatrix } from './matrix.mjs';
import { size } from './words.mjs';

/** @typedef {import('./engine.mjs').OperandSpec} OperandSpec */

/** @template {Element} T
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} _type
 * @returns {T} */
export function find(root, selector, _type) {
  const found = root.querySelector(selector);
  if (!(found instanceof _type)) throw new Error(`the page lacks ${selector}`);
  return found;
}

export class Operand {
  #card;
  #name;
  #error;
  #summary;
  /** @type {File | undefined} */
  #file;
  #onChange;

  /**
   * @param {HTMLElement} place replaced by the card
   * @param {'A' | 'B'} name
   * @param {{typed: string, onChange: () => void}} options
   */
  constructor(place, name, { typed, onChange }) {
    const template = find(document, '#operand', HTMLTemplateElement);
    this.#card = /** @type {HTMLFieldSetElement} */ (find(/** @type {DocumentFragment} */ (template.content.cloneNode(true)), 'fieldset', HTMLFieldSetElement));
    this.#name = name;
    this.#onChange = onChange;
    this.#error = find(this.#card, '.error', HTMLElement);
    this.#error.id = `operand-${name}-error`;
    this.#summary = find(this.#card, '.summary', HTMLElement);
    find(this.#card, '.name', HTMLElement).textContent = name;
    find(this.#card, '.tabs', HTMLElement).setAttribute('aria-label', `Where ${name} comes from`);
    find(this.#card, '.typed', HTMLTextAreaElement).value = typed;
    for (const radio of this.#radios()) radio.name = `source-${name}`;
    for (const input of this.#card.querySelectorAll('input, select, textarea')) input.setAttribute('aria-describedby', this.#error.id);
    this.#card.addEventListener('input', () => this.#changed());
    this.#acceptFiles();
    place.replaceWith(this.#card);
    this.#refresh();
  }

  get transpose() {
    return find(this.#card, '.transpose', HTMLInputElement).checked;
  }

  /** Rows and columns as they stand, before transposition; undefined while unknown.
   * @returns {[number, number] | undefined} */
  get shape() {
    const spec = this.spec();
    if (spec.from === 'made') return [spec.rows, spec.cols];
    if (spec.from === 'file') return undefined;
    try {
      const { rows, cols } = parseMatrix(spec.text, spec.dtype);
      return [rows, cols];
    } catch {
      return undefined; // check() says why
    }
  }

  /** Both numbers of a made matrix.
   * @param {number} n */
  setSize(n) {
    find(this.#card, '.rows', HTMLInputElement).value = String(n);
    find(this.#card, '.cols', HTMLInputElement).value = String(n);
    this.#changed();
  }

  /** @returns {OperandSpec} */
  spec() {
    const dtype = /** @type {'float32' | 'float64'} */ (find(this.#card, '.dtype', HTMLSelectElement).value);
    switch (this.#source()) {
      case 'text':
        return { from: 'text', text: find(this.#card, '.typed', HTMLTextAreaElement).value, dtype };
      case 'file':
        return { from: 'file', file: this.#file ?? new File([], '') };
      default:
        return {
          from: 'made',
          rows: find(this.#card, '.rows', HTMLInputElement).valueAsNumber,
          cols: find(this.#card, '.cols', HTMLInputElement).valueAsNumber,
          dtype,
          filling: /** @type {import('./matrix.mjs').Filling} */ (find(this.#card, '.filling', HTMLSelectElement).value),
          seed: crypto.getRandomValues(new Uint32Array(1))[0],
        };
    }
  }

  /** Shows what is wrong, if anything.
   * @returns {boolean} whether it can be used */
  check() {
    const why = this.#problem();
    this.showError(why);
    return why === '';
  }

  /** @param {string} message '' takes it away */
  showError(message) {
    this.#error.textContent = message;
    this.#error.hidden = message === '';
  }

  focus() {
    find(this.#card, '.pane:not([hidden]) :is(input, textarea)', HTMLElement).focus();
  }

  /** @returns {string} */
  #problem() {
    const spec = this.spec();
    if (spec.from === 'file') return this.#file === undefined ? `Choose a .npy file for ${this.#name}.` : '';
    if (spec.from === 'text') {
      try {
        parseMatrix(spec.text, spec.dtype);
        return '';
      } catch (error) {
        if (error instanceof MatrixError) return `${this.#name}: ${error.message}.`;
        throw error;
      }
    }
    const whole = (/** @type {number} */ n) => Number.isInteger(n) && n >= 1 && n <= 16384;
    if (!whole(spec.rows)) return `${this.#name} needs a whole number of rows, from 1 to 16384.`;
    if (!whole(spec.cols)) return `${this.#name} needs a whole number of columns, from 1 to 16384.`;
    return '';
  }

  #radios() {
    return /** @type {NodeListOf<HTMLInputElement>} */ (this.#card.querySelectorAll('.tabs input'));
  }

  #source() {
    return [...this.#radios()].find((radio) => radio.checked)?.value ?? 'made';
  }

  #changed() {
    this.#refresh();
    this.#onChange();
  }

  #refresh() {
    const source = this.#source();
    for (const pane of /** @type {NodeListOf<HTMLElement>} */ (this.#card.querySelectorAll('.pane'))) pane.hidden = !pane.classList.contains(source);
    find(this.#card, '.type', HTMLElement).hidden = source === 'file'; // a file says so itself
    const shape = this.shape;
    this.#summary.textContent = source === 'file' ? this.#file?.name ?? '' : shape === undefined ? '' : `${shape[0] || '?'} × ${shape[1] || '?'}`;
    if (!this.#error.hidden) this.check();
  }

  #acceptFiles() {
    const zone = find(this.#card, '.drop', HTMLElement);
    const pick = find(this.#card, '.pick', HTMLInputElement);
    pick.addEventListener('change', () => this.#take(pick.files?.[0]));
    // A file may be dropped anywhere on the card.
    this.#card.addEventListener('dragover', (event) => {
      event.preventDefault();
      zone.classList.add('over');
    });
    this.#card.addEventListener('dragleave', () => zone.classList.remove('over'));
    this.#card.addEventListener('drop', (event) => {
      event.preventDefault();
      zone.classList.remove('over');
      const file = event.dataTransfer?.files[0];
      if (file === undefined) return;
      for (const radio of this.#radios()) radio.checked = radio.value === 'file';
      this.#take(file);
    });
  }

  /** @param {File | undefined} file */
  #take(file) {
    if (file === undefined) return;
    this.#file = file;
    find(this.#card, '.drop-text', HTMLElement).textContent = `${file.name}, ${size(file.size)}`;
    this.showError('');
    this.#changed();
  }
}
