// SPDX-License-Identifier: Apache-2.0
/**
 * http_post over Node's http and https, with keep-alive agents: four times
 * the requests of Node's fetch.
 */
import http from 'node:http';
import https from 'node:https';
import { createSecureContext } from 'node:tls';
import { ABI_STATUS_TIMEOUT, ABI_STATUS_UNREACHABLE } from './abi.mjs';
import { headersToText } from './headers.mjs';
import { checkWhole, shown } from './options.mjs';
import { noReply, tooLarge } from './transport-fetch.mjs';

/** Every value of a name, as Node takes headers that come more than once.
 * @param {[string, string][]} headers */
function gathered(headers) {
  /** @type {Record<string, string[]>} */
  const lists = Object.create(null);
  for (const [name, value] of headers) (lists[name] ??= []).push(value);
  return lists;
}

/** Node's list of names and values, in which nothing was merged or dropped.
 * @param {string[]} raw
 * @returns {Generator<readonly [string, string]>} */
function* pairs(raw) {
  for (let i = 0; i + 1 < raw.length; i += 2) yield [raw[i], raw[i + 1]];
}

/** What is no certificate or no key is an error at once, not one of each post. Throws TypeError.
 * @param {import('node:tls').SecureContextOptions} credentials */
function checkCredentials(credentials) {
  try {
    createSecureContext(credentials);
  } catch (error) {
    throw new TypeError(`the option tls: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

/**
 * maxSocketsPerHost: 1 or more, or Infinity; default 64. tls: for https URLs, as Node's tls.createSecureContext() takes them:
 * ca: who signs the peers' certificates, one or several (default: Node's list); cert and key, or pfx: what to show where a peer
 * asks for it; passphrase: of the key. null is taken as not given. Throws TypeError and RangeError.
 * @param {{maxSocketsPerHost?: number, tls?: Pick<import('node:tls').SecureContextOptions, 'ca' | 'cert' | 'key' | 'pfx' | 'passphrase'>}} [options]
 * @returns {import('./transport-fetch.mjs').Transport}
 */
export function nodeTransport(options = {}) {
  if (typeof options !== 'object' || options === null) throw new TypeError(`nodeTransport() takes an object of options, not ${shown(options)}`);
  checkWhole('maxSocketsPerHost', options.maxSocketsPerHost, 1, Infinity);
  const maxSocketsPerHost = options.maxSocketsPerHost ?? 64;
  const credentials = options.tls ?? {};
  if (typeof credentials !== 'object') throw new TypeError(`the option tls is an object, not ${shown(credentials)}`);
  if (Object.keys(credentials).length > 0) checkCredentials(credentials);
  const settings = { keepAlive: true, noDelay: true, maxSockets: maxSocketsPerHost, maxFreeSockets: 16, scheduling: /** @type {const} */ ('lifo') };
  const plain = new http.Agent(settings);
  const tls = new https.Agent(settings);

  return {
    post(request, done) {
      const secure = request.url.startsWith('https:');
      const headers = gathered(request.headers.filter(([name]) => name !== 'connection' && name !== 'host'));
      headers['content-length'] = [String(request.body.length)];
      /** @type {http.ClientRequest} */
      let outgoing;
      let settled = false;
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let timer;

      /** @param {import('./transport-fetch.mjs').PostReply} reply */
      const settle = (reply) => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        done(reply);
      };

      const send = (/** @type {boolean} */ retried) => {
        let answered = false;
        outgoing = (secure ? https : http).request(request.url, { ...secure && credentials, method: 'POST', headers, agent: retried ? false : secure ? tls : plain });
        outgoing.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
          if (settled) return;
          // The peer closed an idle connection just as it was chosen: nothing was heard, so ask again on another.
          const stale = outgoing.reusedSocket && !answered && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
          if (stale && !retried) send(true);
          else settle(noReply(ABI_STATUS_UNREACHABLE, error.message || error.code || 'the connection failed'));
        });
        outgoing.on('response', (incoming) => {
          answered = true;
          /** @type {Uint8Array[]} */
          const body = [];
          let bytes = 0;
          incoming.on('data', (/** @type {Buffer} */ chunk) => {
            bytes += chunk.length;
            if (bytes > request.maxBytes) {
              settle(tooLarge(incoming.statusCode ?? 0, request));
              outgoing.destroy();
            } else {
              body.push(chunk);
            }
          });
          incoming.on('end', () => {
            const status = incoming.statusCode ?? 0;
            settle({ status, headers: headersToText(pairs(incoming.rawHeaders)), body });
          });
          incoming.on('error', (error) => settle(noReply(ABI_STATUS_UNREACHABLE, error.message)));
        });
        outgoing.end(request.body);
      };

      try {
        send(false);
      } catch (error) { // a header or URL that Node refuses
        setImmediate(settle, noReply(ABI_STATUS_UNREACHABLE, `${error instanceof Error ? error.message : error}`));
        return () => { settled = true; };
      }
      if (request.timeoutMs > 0) {
        timer = setTimeout(() => {
          settle(noReply(ABI_STATUS_TIMEOUT, `no reply within ${request.timeoutMs} ms`));
          outgoing.destroy();
        }, Math.min(request.timeoutMs, 0x7fffffff));
      }
      return () => {
        settled = true;
        clearTimeout(timer);
        outgoing.destroy();
      };
    },
    close() {
      plain.destroy();
      tls.destroy();
    },
  };
}
