// SPDX-License-Identifier: Apache-2.0
/**
 * The module's requests to workers: to which URLs, how many at a time, under which
 * handles, and how their replies reach the module.
 */
import { ABI_STATUS_UNREACHABLE } from './abi.mjs';
import { NoMemory } from './guest.mjs';
import { noReply } from './transport-fetch.mjs';

const MAX_HANDLE = 0x7fffffff;

/** What http_post answers in place of a handle. */
export const NOT_A_WORKER = -1;
export const TOO_MANY_POSTS = -2;

export class Posts {
  #workers;
  #transport;
  #most;
  /** Handle → cancel. @type {Map<number, () => void>} */ #cancels = new Map();
  #nextHandle = 1;

  /**
   * @param {readonly URL[]} workers each path ends in a slash; nothing else is reached
   * @param {import('./transport-fetch.mjs').Transport} transport
   * @param {number} most in flight
   */
  constructor(workers, transport, most) {
    this.#workers = workers;
    this.#transport = transport;
    this.#most = most;
  }

  /** Why there can be no post to the URL now: NOT_A_WORKER, TOO_MANY_POSTS; else 0.
   * @param {string} url
   * @returns {number} */
  refusal(url) {
    if (!this.#allowed(url)) return NOT_A_WORKER;
    return this.#cancels.size >= this.#most ? TOO_MANY_POSTS : 0;
  }

  /** Begins one that is not refused. `done` is not called once it was cancelled.
   * @param {import('./transport-fetch.mjs').PostRequest} request
   * @param {(handle: number, reply: import('./transport-fetch.mjs').PostReply) => void} done
   * @returns {number} its handle */
  start(request, done) {
    while (this.#cancels.has(this.#nextHandle)) this.#nextHandle = this.#nextHandle % MAX_HANDLE + 1;
    const handle = this.#nextHandle;
    this.#nextHandle = handle % MAX_HANDLE + 1;
    const cancel = this.#transport.post(request, (reply) => {
      if (this.#cancels.get(handle) !== cancel) return;
      this.#cancels.delete(handle);
      done(handle, reply);
    });
    this.#cancels.set(handle, cancel);
    return handle;
  }

  /** @param {number} handle */
  cancel(handle) {
    this.#cancels.get(handle)?.();
    this.#cancels.delete(handle);
  }

  cancelAll() {
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
  }

  /** @param {string} text
   * @returns {boolean} */
  #allowed(text) {
    let url;
    try {
      url = new URL(text);
    } catch {
      return false;
    }
    return url.username === '' && url.password === ''
      && this.#workers.some((worker) => url.origin === worker.origin && url.pathname.startsWith(worker.pathname));
  }
}

/** Gives a worker's reply to the module, or says that there is no room for it.
 * @param {import('./guest.mjs').Guest} guest
 * @param {number} handle
 * @param {import('./transport-fetch.mjs').PostReply} reply */
export function deliver(guest, handle, reply) {
  let head;
  try {
    head = guest.putText(reply.headers);
    const body = guest.put(reply.body);
    guest.call('on_response', handle, reply.status, head.ptr, head.len, body.ptr, body.len);
    return;
  } catch (error) {
    if (!(error instanceof NoMemory)) throw error;
    guest.drop(head);
    reply = noReply(ABI_STATUS_UNREACHABLE, error.message);
  }
  let why = { ptr: 0, len: 0 };
  try {
    why = guest.put(reply.body);
  } catch (error) {
    if (!(error instanceof NoMemory)) throw error;
  }
  guest.call('on_response', handle, reply.status, 0, 0, why.ptr, why.len);
}
