// SPDX-License-Identifier: Apache-2.0
/** tessera-host as npm packs and installs it: its imports, its types for strict TypeScript, and what a bundle for a browser holds. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { given } from './helpers.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const JS = join(ROOT, 'wasm/js');
const TSC = join(ROOT, 'tests/node_modules/typescript/bin/tsc');
const description = JSON.parse(readFileSync(join(JS, 'package.json'), 'utf8'));

/** An empty project of a user, with the package installed from its archive. */
const project = mkdtempSync(join(tmpdir(), 'tessera-package-'));
after(() => rmSync(project, { recursive: true }));
const npm = (/** @type {string[]} */ ...args) => execFileSync('npm', args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
const [{ filename, files }] = JSON.parse(npm('pack', '--json', '--offline', JS));
writeFileSync(join(project, 'package.json'), '{"name": "user", "version": "1.0.0", "type": "module"}');
npm('install', '--offline', '--no-audit', '--no-fund', `./${filename}`);

/** What tsc says of a program; '' when nothing is wrong, in the declarations of the package and of Node neither.
 * @param {string} code
 * @param {Record<string, unknown>} settings */
function compile(code, settings) {
  writeFileSync(join(project, 'main.mts'), code);
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({
    compilerOptions: { target: 'es2022', strict: true, noEmit: true, skipLibCheck: false, types: ['node'], typeRoots: [join(ROOT, 'tests/node_modules/@types')], ...settings },
    files: ['main.mts'],
  }));
  const { status, stdout } = spawnSync(process.execPath, [TSC], { cwd: project, encoding: 'utf8' });
  return status === 0 ? '' : stdout;
}

const USER = `
import { createServer } from 'node:http';
import { FetchCaller, MatmulClient, Tessera, TesseraError } from 'tessera-host';
import type { BlockList, CallOptions, Code, DenseMatrix, Description, Mode, Product, ProductStats, TesseraOptions, TileResult } from 'tessera-host';
import { nodeHandler } from 'tessera-host/node-handler';
import { nodeTransport } from 'tessera-host/transport-node';

const options: TesseraOptions = { module: new URL('x.wasm', import.meta.url), workers: ['http://127.0.0.1:8081'], mode: 'adaptive',
  transport: nodeTransport({ tls: { ca: ['PEM', Buffer.from('PEM')], cert: 'PEM', key: 'PEM', passphrase: 'secret' }, maxSocketsPerHost: Infinity }), log: (level, text) => console.log(level.toUpperCase(), text.length) };
const tessera: Tessera = await Tessera.create(options);
const a: DenseMatrix = { rows: 1, cols: 1, dtype: 'float64', data: new Float64Array([2]) };
const call: CallOptions = { signal: new AbortController().signal, timeoutMs: 5, headers: { 'x-a': 'b' } };
for (const client of [new MatmulClient(tessera), new MatmulClient(new FetchCaller('http://127.0.0.1:8080'))]) {
  const product: Product = { a, b: await client.putBlock(a), alpha: 2, transposeA: true };
  const result: TileResult = await client.multiply(product, call);
  const stats: ProductStats | undefined = result.stats;
  const first: number = result.c?.data[0] ?? 0;
  for await (const { tile, worker } of client.multiplyTiles(product)) console.log(tile.row + first, worker.length, stats?.workers[0].gflops);
  const told: Description = await client.describe();
  const blocks: BlockList = await client.listBlocks();
  const before: Mode = await client.setMode('proxy');
  if (before !== 'unspecified') await client.setMode(before);
  console.log(told.workers[0].megabytesPerSecond, blocks.blocks[0].sha256.length, before);
}
try {
  await tessera.request({ path: '/x', body: new Uint8Array(1) });
} catch (error) {
  if (error instanceof TesseraError) { const code: Code = error.code; console.log(code); }
}
createServer(nodeHandler(tessera, { corsOrigin: '*', ready: () => true })).listen(0);
tessera.close();

export const wrong = async (client: MatmulClient) => {
  // @ts-expect-error: no type of elements
  await client.multiply({ a: { rows: 1, cols: 1, data: new Float64Array(1) }, b: a });
  // @ts-expect-error: no B
  await client.multiply({ a });
  // @ts-expect-error: no such mode
  await client.setMode('fast');
  // @ts-expect-error: only told, never set
  await client.setMode('unspecified');
  // @ts-expect-error: text
  await client.describe({ headers: { 'x-n': 5 } });
  // @ts-expect-error: numbers are numbers
  await Tessera.create({ module: 'x.wasm', maxRequests: '5' });
  // @ts-expect-error: no module
  await Tessera.create({});
  // @ts-expect-error: no such option
  await Tessera.create({ module: 'x.wasm', worker: ['http://127.0.0.1:8081'] });
  // @ts-expect-error: carries no calls
  new MatmulClient('http://127.0.0.1:8080');
  // @ts-expect-error: a code is one of sixteen
  new TesseraError('oops', 'x');
  // @ts-expect-error: a stream, or bytes
  (await tessera.request({ path: '/x' })).body.length;
};
`;

test('the types are those of the sources', () => {
  execFileSync(process.execPath, [join(ROOT, 'tools/js-types.mjs'), '--check'], { stdio: ['ignore', 'ignore', 'inherit'] });
  for (const name of readdirSync(join(JS, 'types'))) { // TypeScript before 5.7 knows no such parameter
    assert.doesNotMatch(readFileSync(join(JS, 'types', name), 'utf8'), /Array(?:BufferView)?<ArrayBuffer/, name);
  }
});

test('every export has its types and its code in the archive', () => {
  const packed = new Set(files.map((/** @type {{path: string}} */ { path }) => `./${path}`));
  const targets = [description.main, description.types, ...Object.values(description.bin), ...Object.keys(description.browser),
    ...Object.values(description.exports).flatMap((one) => typeof one === 'string' ? [one] : [one.types, one.default])];
  for (const file of [...targets, './README.md', './LICENSE']) assert.ok(packed.has(file), `${file} is not packed`);
  assert.equal(readFileSync(join(JS, 'LICENSE'), 'utf8'), readFileSync(join(ROOT, 'LICENSE'), 'utf8'));
});

/** As a page uses it: no Node, its types neither. */
const BROWSER = `
import { FetchCaller, MatmulClient, Tessera, type DenseMatrix, type TileResult } from 'tessera-host';
const compiled: WebAssembly.Module = await WebAssembly.compileStreaming(fetch('x.wasm'));
for (const module of [compiled, fetch('x.wasm'), new URL('x.wasm', location.href), 'x.wasm']) {
  const tessera = await Tessera.create({ module, workers: ['http://127.0.0.1:8081'] });
  const a: DenseMatrix = { rows: 1, cols: 1, dtype: 'float32', data: new Float32Array(1) };
  const result: TileResult = await new MatmulClient(tessera).multiply({ a, b: a }, { signal: AbortSignal.timeout(5) });
  document.title = String(result.c?.data[0]);
}
await new MatmulClient(new FetchCaller(location.href)).describe({ headers: new Headers() });
`;

test('strict TypeScript compiles against the package, and refuses wrong uses', () => {
  for (const [code, settings] of /** @type {[string, any][]} */ ([
    [USER, { module: 'nodenext', lib: ['es2022'], exactOptionalPropertyTypes: true }], // a Node project: no DOM
    [USER, { module: 'nodenext' }],
    [USER, { module: 'esnext', moduleResolution: 'bundler' }],
    [BROWSER, { module: 'esnext', moduleResolution: 'bundler', lib: ['es2022', 'dom'], types: [] }],
    [BROWSER.replace('document.title', 'self.name').replace(/location/g, 'self.location'), { module: 'esnext', moduleResolution: 'bundler', lib: ['es2022', 'webworker'], types: [] }],
  ])) {
    assert.equal(compile(code, settings), '', JSON.stringify(settings));
  }
  // What resolves neither exports nor .mts finds the types of the main entry.
  assert.equal(compile('import { Tessera } from "tessera-host";\nexport const make: (options: { module: string }) => Promise<Tessera> = Tessera.create;',
    { module: 'esnext', moduleResolution: 'node10', ignoreDeprecations: '5.0', skipLibCheck: true }), '');
});

test('the package runs in Node, from where it is installed', () => {
  writeFileSync(join(project, 'main.mjs'), `import { Tessera, TesseraError, MatmulClient, FetchCaller } from 'tessera-host';
import { nodeHandler } from 'tessera-host/node-handler';
import { nodeTransport } from 'tessera-host/transport-node';
const tessera = await Tessera.create({ module: ${JSON.stringify(given('TESSERA_PROBE'))}, transport: nodeTransport() });
const { body } = await tessera.request({ path: '/echo', body: new TextEncoder().encode('hello') });
console.log(new TextDecoder().decode(body), typeof nodeHandler(tessera));
tessera.close();`);
  assert.equal(execFileSync(process.execPath, ['main.mjs'], { cwd: project, encoding: 'utf8' }), 'hello function\n');
  assert.match(execFileSync('npx', ['--offline', 'tessera-node', '--help'], { cwd: project, encoding: 'utf8' }), /^usage: node-server.mjs/);
});

test('what a browser loads is what the page is served, and nothing of Node', () => {
  const served = JSON.parse(readFileSync(join(ROOT, 'web/assets.json'), 'utf8')).files;
  const left = Object.keys(description.browser).map((one) => one.slice(2));
  /** @type {Set<string>} */
  const seen = new Set();
  const wanted = ['tessera.mjs'];
  for (let file = wanted.pop(); file !== undefined; file = wanted.pop()) {
    if (seen.has(file) || left.includes(file)) continue;
    seen.add(file);
    for (const [, name] of readFileSync(join(JS, file), 'utf8').matchAll(/(?:^(?:import|export)\b[^'"\n]* from |^import |^} from |await import\()'([^']+)'/gm)) {
      assert.match(name, /^\.\//, `${file} imports ${name}`);
      wanted.push(name.slice(2));
    }
  }
  assert.deepEqual([...seen].sort(), Object.keys(served).filter((url) => url.startsWith('/wasm/js/')).map((url) => url.slice(9)).sort());
});
