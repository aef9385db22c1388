// SPDX-License-Identifier: Apache-2.0
/**
 * connect-web and grpc-web, from npm, in a headless browser against a server of
 * InteropService on another origin:
 *
 *   node browser.mjs chromium|firefox DESCRIPTORS.binpb URL
 *
 * The page (page.mjs) gets the packages as they are, by an import map, and posts
 * what it found. Exit codes: 0 all passed, 1 not, 77 the browser is not installed.
 */
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { argv, exit } from 'node:process';
import { fileURLToPath } from 'node:url';
import { isBrowser, launch, programOf } from '../../../browser/launch.mjs';

const TIMEOUT_MS = 150_000;
const [, , name, descriptors, url] = argv;
if (!isBrowser(name)) {
  console.error('usage: browser.mjs chromium|firefox DESCRIPTORS.binpb URL');
  exit(2);
}
const program = programOf(name);
if (program === undefined) {
  console.error(`${name} is not installed: skipped`);
  exit(77);
}

/** Where a page finds what Node finds by package.json. */
const imports = Object.fromEntries([
  '@bufbuild/protobuf', '@bufbuild/protobuf/codegenv2', '@bufbuild/protobuf/reflect', '@bufbuild/protobuf/wire', '@bufbuild/protobuf/wkt',
  '@connectrpc/connect', '@connectrpc/connect/protocol', '@connectrpc/connect/protocol-connect', '@connectrpc/connect/protocol-grpc-web',
  '@connectrpc/connect-web', 'grpc-web',
].map((specifier) => {
  const path = fileURLToPath(import.meta.resolve(specifier)).replace(/.*\/node_modules\//, '/npm/');
  // grpc-web's package.json names the file for Node alone in "main".
  return [specifier, specifier === 'grpc-web' ? '/npm/grpc-web/index.esm.js' : path];
}));
const page = `<!doctype html><meta charset="utf-8"><title>interop</title>
<script type="importmap">${JSON.stringify({ imports })}</script>
<script type="module">
addEventListener('error', (event) => fetch('/result', {method: 'POST', body: JSON.stringify({error: event.message})}));
import('/page.mjs').catch((error) => fetch('/result', {method: 'POST', body: JSON.stringify({error: String(error.stack ?? error)})}));
</script>`;

/** @type {(news: {passed?: number, failures?: string[], error?: string}) => void} */
let finish = () => {};
const finished = new Promise((resolve) => { finish = resolve; });

const site = http.createServer(async (incoming, outgoing) => {
  const path = new URL(incoming.url ?? '/', 'http://site').pathname;
  const send = (/** @type {string} */ type, /** @type {string | Buffer} */ body) => outgoing.writeHead(200, { 'content-type': type }).end(body);
  try {
    if (path === '/') send('text/html; charset=utf-8', page);
    else if (path === '/descriptors.binpb') send('application/octet-stream', await readFile(descriptors));
    else if (path === '/result') {
      let body = '';
      for await (const chunk of incoming) body += chunk;
      outgoing.end();
      finish(JSON.parse(body));
    } else if (/^\/(page|checks)\.mjs$/.test(path)) send('text/javascript', await readFile(new URL(`.${path}`, import.meta.url)));
    else if (/^\/npm\/[\w@./-]+\.js$/.test(path) && !path.includes('..')) send('text/javascript', await readFile(new URL(`../../../node_modules${path.slice(4)}`, import.meta.url)));
    else outgoing.writeHead(404).end();
  } catch (error) {
    outgoing.writeHead(500).end(String(error));
  }
});
await new Promise((resolve) => site.listen(0, '127.0.0.1', () => resolve(undefined)));
const { port } = /** @type {import('node:net').AddressInfo} */ (site.address());
const end = await launch(name, program, `http://127.0.0.1:${port}/?url=${encodeURIComponent(url)}`, (why) => finish({ error: why }));
const timer = setTimeout(() => finish({ error: `no end within ${TIMEOUT_MS} ms` }), TIMEOUT_MS);
const { passed = 0, failures = [], error } = await finished;
clearTimeout(timer);
await end();
if (error !== undefined) failures.push(error);
for (const failure of failures) console.error(`FAILED ${failure}`);
console.log(`${name}: ${passed} checks passed, ${failures.length} failed`);
exit(failures.length === 0 && passed > 0 ? 0 : 1);
