// SPDX-License-Identifier: Apache-2.0
/**
 * Serves the page from the source tree, by web/assets.json, with the headers
 * that a server compiles in; files of tests/browser below /test/; and lets a
 * listener of the caller answer everything else. With page: false the listener
 * answers for the page, too.
 *
 *   node tests/browser/site.mjs MODULE.wasm [PORT]     to look at the page while working on it
 */
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../', import.meta.url);

/**
 * @param {{module: string, page?: boolean, port?: number, extra?: Record<string, string>, other?: http.RequestListener}} options
 *   extra: more files, by URL path
 * @returns {Promise<{url: string, close: () => void}>}
 */
export async function startSite({ module, page = true, port = 0, extra = {}, other }) {
  const { headers, types, files, module: modulePath } = JSON.parse(await readFile(new URL('web/assets.json', ROOT), 'utf8'));
  const server = http.createServer(async (incoming, outgoing) => {
    try {
      const path = new URL(incoming.url ?? '/', 'http://site').pathname;
      const name = path === '/' ? '/index.html' : path;
      const file = page && name === modulePath ? module
        : Object.hasOwn(extra, name) ? extra[name]
        : page && Object.hasOwn(files, name) ? new URL(files[name], ROOT)
          : /^\/test\/[\w-]+\.(mjs|html)$/.test(name) ? new URL(`tests/browser/${name.slice(6)}`, ROOT) : undefined;
      if (incoming.method !== 'GET' || file === undefined) {
        if (other !== undefined) return other(incoming, outgoing);
        outgoing.writeHead(404).end();
        return;
      }
      const body = await readFile(file);
      const policy = headers['Content-Security-Policy'];
      // The tests hold the page in a frame; the page itself holds none.
      const own = name.startsWith('/test/') ? { 'Content-Security-Policy': `${policy}; frame-src 'self'` } : {};
      outgoing.writeHead(200, { ...headers, ...own, 'content-type': types[name.slice(name.lastIndexOf('.') + 1)], 'content-length': body.length }).end(body);
    } catch (error) {
      outgoing.writeHead(500).end(String(error));
    }
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(undefined));
  });
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${address.port}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { fakeWorker } = await import('../node/fake-worker.mjs');
  const { listener } = fakeWorker({ streamTile: 128, delayMs: 10, streamNames: ['local', 'http://127.0.0.1:8081', 'http://127.0.0.1:8082'] });
  const { url } = await startSite({ module: process.argv[2], port: Number(process.argv[3] ?? 0), other: listener });
  console.log(url);
}
