// SPDX-License-Identifier: Apache-2.0
/**
 * When the module's loop() runs: soon (after what the event loop already has
 * to do), in some milliseconds, or not before the next event. Never a busy
 * wait: a turn is a task of its own, so timers, sockets and messages come
 * between two turns.
 */

/** Longest delay that setTimeout keeps; more would fire at once. */
const MAX_TIMER_MS = 0x7fffffff;

export class Turns {
  #turn;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #dueAt = Infinity;
  #queued = false;
  #stopped = false;
  #holds = true;
  /** @type {() => void} */
  #post;
  /** @type {MessageChannel | undefined} */
  #channel;

  /** @param {() => void} turn called once for each turn; it must not throw */
  constructor(turn) {
    this.#turn = turn;
    if (typeof setImmediate === 'function') {
      this.#post = () => setImmediate(() => this.#fire());
    } else {
      // Unlike setTimeout(0), a message is not held back for 4 ms.
      const channel = new MessageChannel();
      channel.port1.onmessage = () => this.#fire();
      this.#post = () => channel.port2.postMessage(0);
      this.#channel = channel;
    }
  }

  /** A turn after what is queued already. */
  soon() {
    if (this.#stopped || this.#queued) return;
    this.#queued = true;
    this.#post();
  }

  /** A turn in `ms`, unless one comes sooner.
   * @param {number} ms */
  later(ms) {
    if (this.#stopped || this.#queued) return;
    const at = performance.now() + ms;
    if (at >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = at;
    this.#timer = setTimeout(() => this.#fire(), Math.min(Math.ceil(ms), MAX_TIMER_MS));
    this.#applyHold();
  }

  /** Whether a waiting timer keeps a Node process alive.
   * @param {boolean} holds */
  hold(holds) {
    this.#holds = holds;
    this.#applyHold();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#channel?.port1.close();
  }

  #applyHold() {
    const timer = /** @type {any} */ (this.#timer);
    if (typeof timer?.ref !== 'function') return; // a browser's timer is a number
    if (this.#holds) timer.ref();
    else timer.unref();
  }

  #fire() {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#dueAt = Infinity;
    this.#queued = false;
    this.#turn();
  }
}
