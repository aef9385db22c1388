// SPDX-License-Identifier: Apache-2.0
//
// Both .wasm variants driven by a host of their own (not wasm/js): the border of
// wasm/abi.h byte by byte, products in every mode with scripted workers, memory
// that does not grow, bounded turns. Messages are written and read by hand here.
//
//   node --test module.test.mjs   (TESSERA_WASM_DIR: where the modules lie)
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const DIR = process.env.TESSERA_WASM_DIR;
const VARIANTS = ['tessera-module.wasm', 'tessera-module-scalar.wasm'];
const MULTIPLY = '/tessera.matmul.v1.MatmulService/Multiply';
const PROTO = 'content-type: application/proto\r\n';
const text = new TextEncoder();
const decode = (bytes) => new TextDecoder().decode(bytes);

// ---- protobuf, as much as is needed ----

function varint(n) {
  const out = [];
  for (n = BigInt(n); n >= 128n; n >>= 7n) out.push(Number(n & 127n) | 128);
  out.push(Number(n));
  return out;
}
const concat = (...parts) => Buffer.concat(parts.map((p) => Buffer.from(p)));
const bytesField = (field, bytes) => concat(varint(field * 8 + 2), varint(bytes.length), bytes);
const intField = (field, n) => (n ? concat(varint(field * 8), varint(n)) : Buffer.alloc(0));
const doubleField = (field, x) => {
  const b = Buffer.alloc(9);
  b[0] = field * 8 + 1;
  b.writeDoubleLE(x, 1);
  return b;
};

/** Fields of a message: Map of number to the list of values. */
function fields(buffer) {
  const found = new Map();
  let at = 0;
  const number = () => {
    let n = 0n;
    for (let shift = 0n; ; shift += 7n) {
      assert.ok(at < buffer.length, 'truncated');
      const byte = buffer[at++];
      n |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(n);
    }
  };
  while (at < buffer.length) {
    const tag = number();
    let value;
    if ((tag & 7) === 0) value = number();
    else if ((tag & 7) === 1) value = buffer.readDoubleLE((at += 8) - 8);
    else {
      assert.equal(tag & 7, 2);
      const size = number();
      assert.ok(at + size <= buffer.length, 'truncated');
      value = buffer.subarray(at, (at += size));
    }
    const field = tag >> 3;
    found.set(field, [...(found.get(field) ?? []), value]);
  }
  return found;
}
const one = (map, field, otherwise) => (map.get(field) ?? [otherwise])[0];

// ---- matrices of small integers ----

let seed = 12345;
function random(n) {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return (seed >>> 8) % n;
}
const DTYPES = { 1: Float32Array, 2: Float64Array };

function matrix(rows, cols, dtype) {
  const data = new DTYPES[dtype](rows * cols);
  for (let i = 0; i < data.length; i++) data[i] = random(9) - 4;
  return { rows, cols, dtype, data };
}
const pack = (m) => concat(intField(1, m.rows), intField(2, m.cols), intField(3, m.dtype),
  bytesField(5, new Uint8Array(m.data.buffer, m.data.byteOffset, m.data.byteLength)));
function unpack(buffer) {
  const f = fields(buffer);
  const dtype = one(f, 3, 0);
  const bytes = one(f, 5, Buffer.alloc(0));
  const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  return { rows: one(f, 1, 0), cols: one(f, 2, 0), dtype, data: new DTYPES[dtype](copy) };
}

function multiply({ a, b, c, alpha = 1, beta = 0, ta = false, tb = false }) {
  const m = ta ? a.cols : a.rows;
  const k = ta ? a.rows : a.cols;
  const n = tb ? b.rows : b.cols;
  const out = new DTYPES[a.dtype](m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let p = 0; p < k; p++) {
        sum += (ta ? a.data[p * m + i] : a.data[i * k + p]) *
          (tb ? b.data[j * k + p] : b.data[p * n + j]);
      }
      out[i * n + j] = alpha * sum + (beta ? beta * c.data[i * n + j] : 0);
    }
  }
  return { rows: m, cols: n, dtype: a.dtype, data: out };
}

function request({ a, b, c, alpha = 1, beta = 0, ta = false, tb = false }) {
  const parts = [bytesField(1, pack(a)), bytesField(2, pack(b))];
  if (c) parts.push(bytesField(3, pack(c)));
  parts.push(bytesField(4, concat(doubleField(1, alpha), doubleField(2, beta))));
  parts.push(intField(5, ta ? 1 : 0), intField(6, tb ? 1 : 0), bytesField(8, text.encode('p')));
  return concat(...parts);
}

// ---- the host ----

const HEADER = readFileSync(new URL('../../../wasm/abi.h', import.meta.url), 'utf8');

class Host {
  constructor(variant, config, worker) {
    this.module = new WebAssembly.Module(readFileSync(join(DIR, variant)));
    this.worker = worker; // (url, body) => {status, headers, body} | null: never
    this.replies = new Map();
    this.posts = new Map();
    this.log = [];
    this.handles = 0;
    this.longest = 0;
    const tessera = {
      http_post: (url, urlSize, headers, headersSize, iov, count, timeoutMs) => {
        assert.ok(timeoutMs > 0);
        assert.match(this.text(headers, headersSize), /content-type: application\/proto\r\n/);
        this.posts.set(++this.handles, { url: this.text(url, urlSize), body: this.pieces(iov, count) });
        return this.handles;
      },
      http_cancel: (handle) => assert.ok(this.posts.delete(handle)),
      http_reply: (id, status, headers, headersSize, iov, count, flags) => {
        assert.ok(!this.replies.has(id));
        this.replies.set(id, { status, headers: this.text(headers, headersSize),
          body: this.pieces(iov, count), complete: !(flags & 1) });
        return 0;
      },
      http_reply_more: (id, iov, count, flags) => {
        const reply = this.replies.get(id);
        assert.ok(reply && !reply.complete);
        reply.body = concat(reply.body, this.pieces(iov, count));
        reply.complete = !(flags & 1);
        return 0;
      },
      now_ms: () => performance.now(),
      log: (level, at, size) => this.log.push(this.text(at, size)),
      random: (at, size) => crypto.getRandomValues(this.bytes(at, size)),
    };
    this.exports = new WebAssembly.Instance(this.module, { tessera }).exports;
    this.configured = this.exports.configure(...this.give(text.encode(config)));
  }
  bytes(at, size) {
    return new Uint8Array(this.exports.memory.buffer, at >>> 0, size >>> 0);
  }
  text(at, size) {
    return decode(this.bytes(at, size));
  }
  pieces(iov, count) {
    const view = new DataView(this.exports.memory.buffer);
    const parts = [];
    for (let i = 0; i < count; i++) {
      const at = (iov >>> 0) + 8 * i;
      parts.push(Buffer.from(this.bytes(view.getUint32(at, true), view.getUint32(at + 4, true))));
    }
    return Buffer.concat(parts);
  }
  give(bytes) {
    if (bytes.length === 0) return [0, 0];
    const at = this.exports.alloc(bytes.length);
    assert.notEqual(at, 0, 'no memory');
    assert.equal((at >>> 0) % 16, 0);
    this.bytes(at, bytes.length).set(bytes);
    return [at, bytes.length];
  }
  send(id, path, body, headers = PROTO) {
    return this.exports.on_request(id, ...this.give(text.encode('POST')), ...this.give(text.encode(path)),
      ...this.give(text.encode(headers)), ...this.give(body));
  }
  turn() {
    const start = performance.now();
    const wake = this.exports.loop();
    this.longest = Math.max(this.longest, performance.now() - start);
    for (const [handle, { url, body }] of this.posts) {
      const answer = this.worker(url, body);
      if (!answer) continue;
      this.posts.delete(handle);
      this.exports.on_response(handle, answer.status, ...this.give(text.encode(answer.headers ?? '')),
        ...this.give(answer.body ?? Buffer.alloc(0)));
    }
    return wake;
  }
  wait(id) {
    for (let i = 0; i < 1e6; i++) {
      const reply = this.replies.get(id);
      if (reply?.complete) {
        this.replies.delete(id);
        return reply;
      }
      const wake = this.turn();
      if (wake > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.min(wake, 20));
    }
    assert.fail('no reply');
  }
  stats() {
    const at = this.exports.alloc(16384);
    const size = this.exports.stats(at, 16384);
    const copy = this.text(at, size);
    this.exports.free(at);
    return copy;
  }
}

/** A worker that computes, and may bend its answer. */
function work(body, bend = () => {}) {
  if (body.length === 0) return { status: 200, headers: PROTO }; // Describe: it tells nothing
  const f = fields(body);
  const tile = one(f, 7);
  const scaling = fields(one(f, 4, Buffer.alloc(0)));
  const result = multiply({ a: unpack(one(f, 1)), b: unpack(one(f, 2)), c: f.has(3) ? unpack(one(f, 3)) : null,
    alpha: one(scaling, 1, f.has(4) ? 0 : 1), beta: one(scaling, 2, 0), ta: one(f, 5, 0) === 1, tb: one(f, 6, 0) === 1 });
  const answer = { tile, c: result };
  bend(answer);
  return { status: 200, headers: PROTO,
    body: concat(bytesField(1, answer.tile), bytesField(2, pack(answer.c)), bytesField(3, text.encode('w'))) };
}

function runExact(host, id, product) {
  assert.equal(host.send(id, MULTIPLY, request(product)), 0);
  const reply = host.wait(id);
  assert.equal(reply.status, 200, decode(reply.body));
  const f = fields(reply.body);
  const expected = multiply(product);
  const c = one(f, 2) ? unpack(one(f, 2)) : null;
  assert.equal(c.rows, expected.rows);
  assert.equal(c.cols, expected.cols);
  for (let i = 0; i < expected.data.length; i++) {
    if (c.data[i] !== expected.data[i]) assert.equal(c.data[i], expected.data[i] + 0, `element ${i}`);
  }
  const stats = fields(one(f, 7));
  return { local: one(stats, 3, 0), proxied: one(stats, 4, 0), backups: one(stats, 9, 0),
    notes: (stats.get(8) ?? []).map(decode) };
}

const product = (m, n, k, dtype = 1, extra = {}) => {
  const { ta = false, tb = false } = extra;
  return { a: matrix(ta ? k : m, ta ? m : k, dtype), b: matrix(tb ? n : k, tb ? k : n, dtype),
    ...(extra.beta ? { c: matrix(m, n, dtype) } : {}), ...extra };
};
const never = () => null;

for (const variant of VARIANTS) {
  test(`${variant}: the border is that of abi.h`, () => {
    const module = new WebAssembly.Module(readFileSync(join(DIR, variant)));
    const wanted = (start, stop) => [...HEADER.slice(HEADER.indexOf(start), HEADER.indexOf(stop))
      .matchAll(/^ \* (?:i32 |void |f64 )?([a-z_]+)(?:\(| *$)/gm)].map((m) => m[1]).sort();
    const imports = WebAssembly.Module.imports(module);
    assert.deepEqual([...new Set(imports.map((i) => i.module))], ['tessera']);
    assert.deepEqual(imports.map((i) => i.name).sort(), wanted('---- imports', '---- exports'));
    assert.deepEqual(WebAssembly.Module.exports(module).map((e) => e.name).sort(),
      wanted('---- exports', '*/\n\n#endif'));
    const host = new Host(variant, 'mode=serial\nengine=node\n', never);
    assert.equal(host.configured, 0);
    assert.equal(host.exports.abi_version(), 1);
    assert.equal(host.exports.loop(), -1);
  });

  test(`${variant}: a wrong configuration is refused and named`, () => {
    for (const bad of ['mode=fast', 'color=red', 'worker=gopher://x', 'max_message_bytes=-1']) {
      const host = new Host(variant, bad, never);
      assert.ok(host.configured < 0);
      assert.match(host.log.join('\n'), new RegExp(bad.split('=')[0]));
      // Nothing works, and nothing breaks.
      assert.ok(host.send(1, MULTIPLY, Buffer.alloc(3)) < 0);
      assert.equal(host.exports.loop(), -1);
    }
    const twice = new Host(variant, 'mode=serial', never);
    assert.ok(twice.exports.configure(...twice.give(text.encode('mode=proxy'))) < 0);
  });

  test(`${variant}: exact products, serial`, () => {
    const host = new Host(variant, 'mode=serial', never);
    let id = 0;
    for (const [m, n, k] of [[1, 1, 1], [1, 9, 5], [7, 1, 5], [13, 17, 19], [64, 64, 64], [100, 37, 51]]) {
      for (const dtype of [1, 2]) {
        for (const extra of [{}, { ta: true }, { tb: true }, { ta: true, tb: true, alpha: 2, beta: -3 }]) {
          const r = runExact(host, ++id, product(m, n, k, dtype, extra));
          assert.deepEqual([r.local > 0, r.proxied], [true, 0]);
        }
      }
    }
    runExact(host, ++id, product(1000, 37, 513));
    assert.deepEqual(host.log, []);
  });

  test(`${variant}: exact products over workers, some of them bad`, () => {
    const bends = {
      tile: (answer) => { answer.tile = concat(intField(1, 3)); },
      shape: (answer) => { answer.c = { ...answer.c, rows: answer.c.rows + 1 }; },
      dtype: (answer) => { answer.c = { ...answer.c, dtype: 3 - answer.c.dtype }; },
    };
    const ways = {
      good: (body) => work(body),
      garbage: () => ({ status: 200, headers: PROTO, body: Buffer.from('nonsense') }),
      html: () => ({ status: 502, headers: 'content-type: text/html\r\n', body: Buffer.from('<p>') }),
      gone: () => ({ status: 0, body: Buffer.from('connection refused') }),
      late: () => ({ status: -1 }),
      silent: never,
      ...Object.fromEntries(Object.entries(bends).map(([name, bend]) => [name, (body) => work(body, bend)])),
    };
    for (const [name, way] of Object.entries(ways)) {
      const host = new Host(variant, 'mode=proxy\ntile_timeout_ms=300\nworker=http://bad:1\nworker=http://good:1\n',
        (url, body) => (url.startsWith('http://bad:1/') ? way(body) : work(body)));
      const r = runExact(host, 1, product(300, 300, 400, 1, { beta: 1 }));
      assert.ok(r.proxied > 0, name);
      if (name === 'good') {
        assert.deepEqual(host.log, []);
        assert.equal(r.local, 0);
      } else if (name === 'silent') {
        // Nothing is known to be wrong yet: copies elsewhere were faster than its time-out.
        assert.ok(r.backups > 0 || host.log.length > 0, name);
      } else {
        assert.match(host.log.join('\n'), /product p: tile .* on http:\/\/bad:1: /, name);
        assert.doesNotMatch(host.log.join('\n'), /nonsense|<p>/);
      }
    }
    const alone = new Host(variant, 'mode=proxy\nworker=http://bad:1\n', () => ways.gone());
    const r = runExact(alone, 1, product(50, 50, 50));
    assert.deepEqual(r.notes.at(-1), 'no worker answered: computed locally');
  });

  test(`${variant}: bad input gets its code, and the next good one an answer`, () => {
    const host = new Host(variant, 'mode=serial\nmax_message_bytes=100000\n', never);
    const good = product(5, 6, 7);
    const status = (path, body, headers) => {
      assert.equal(host.send(9, path, body, headers), 0);
      return host.wait(9).status;
    };
    assert.equal(status(MULTIPLY, request(good).subarray(0, 40)), 400);
    assert.equal(status(MULTIPLY, Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x07])), 400);
    assert.equal(status(MULTIPLY, request({ ...good, b: matrix(8, 6, 1) })), 400);
    assert.equal(status(MULTIPLY, Buffer.alloc(200000)), 429);
    assert.equal(status('/nothing', request(good)), 404);
    assert.equal(status(MULTIPLY, request(good), 'content-type: text/plain\r\n'), 415);
    assert.equal(status(MULTIPLY, request(good), 'broken\r\n'), 400);
    runExact(host, 1, good);
  });

  test(`${variant}: memory stays where it was`, () => {
    const host = new Host(variant, 'mode=proxy\nworker=http://w:1\n', (url, body) => work(body));
    const p = product(150, 150, 20);
    let high = 0;
    for (let i = 1; i <= 300; i++) {
      if (i % 3 === 0) assert.equal(host.send(1000, '/tessera.matmul.v1.ControllerService/SetMode',
        Buffer.from([8, 1 + (i / 3) % 3])), 0);
      if (i % 3 === 0) assert.equal(host.wait(1000).status, 200);
      runExact(host, i, p);
      const size = host.exports.memory.buffer.byteLength;
      if (i === 6) high = size;
      if (i > 6) assert.equal(size, high);
    }
    assert.match(host.stats(), /tessera_inflight_bytes 0\n/);
    assert.match(host.stats(), /tessera_products_total\{result="ok"\} 300\n/);
  });

  test(`${variant}: the loop's turns are bounded`, () => {
    const host = new Host(variant, 'mode=serial', never);
    const n = 700;
    const p = { a: matrix(n, n, 1), b: matrix(n, n, 1) };
    assert.equal(host.send(1, MULTIPLY, request(p)), 0);
    let turns = 0;
    while (!host.replies.has(1)) {
      host.turn();
      turns++;
    }
    assert.ok(turns >= 3, `${turns} turns`);
    // A few milliseconds each; the bound leaves room for a machine that is busy.
    assert.ok(host.longest < 250, `${host.longest} ms`);
    // A client that goes away ends the work.
    assert.equal(host.send(2, MULTIPLY, request(p)), 0);
    host.turn();
    host.exports.on_cancel(2);
    assert.equal(host.exports.loop(), -1);
    assert.ok(!host.replies.has(2));
  });

  test(`${variant}: alloc refuses what there is not, and free traps on nonsense`, () => {
    const host = new Host(variant, 'mode=serial', never);
    assert.equal(host.exports.alloc(0xffffffff), 0);
    assert.equal(host.exports.alloc(0xfff00000), 0);
    const block = host.exports.alloc(1 << 20);
    assert.notEqual(block, 0);
    host.exports.free(block);
    assert.throws(() => host.exports.free(block), WebAssembly.RuntimeError);
  });
}
