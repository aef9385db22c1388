// SPDX-License-Identifier: Apache-2.0
//
// The Connect client that Node's users have (@connectrpc/connect-node, from npm)
// against tessera-worker and tessera-server: binary protobuf and JSON over
// HTTP/1.1, unary and server stream, errors, deadlines, cancellation. Messages
// come from the schemas by protoc's descriptor set: no code of ours takes part.
//
// Environment: TESSERA_BIN_DIR, TESSERA_SOURCE_DIR.
import assert from "node:assert/strict";
import {execFileSync, spawn} from "node:child_process";
import {existsSync, mkdtempSync, readFileSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import path from "node:path";
import {after, before, describe, test} from "node:test";
import {createFileRegistry, fromBinary} from "@bufbuild/protobuf";
import {FileDescriptorSetSchema} from "@bufbuild/protobuf/wkt";
import {Code, ConnectError, createClient} from "@connectrpc/connect";
import {createConnectTransport, createGrpcWebTransport} from "@connectrpc/connect-node";

const bin = process.env.TESSERA_BIN_DIR;
const FLOAT64 = 2;

function loadServices() {
  const folder = mkdtempSync(path.join(tmpdir(), "tessera-connect-node-"));
  try {
    const file = path.join(folder, "all.binpb");
    execFileSync("protoc", ["-I", path.join(process.env.TESSERA_SOURCE_DIR, "proto"),
      "--include_imports", `--descriptor_set_out=${file}`,
      "tessera/matmul/v1/matmul.proto", "grpc/health/v1/health.proto"], {timeout: 60000});
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)));
  } finally {
    rmSync(folder, {recursive: true});
  }
}

const registry = loadServices();
const Matmul = registry.getService("tessera.matmul.v1.MatmulService");
const Controller = registry.getService("tessera.matmul.v1.ControllerService");
const Health = registry.getService("grpc.health.v1.Health");

const running = new Set();

// Starts a program and waits for its first line; bounded.
async function start(name, ...options) {
  const child = spawn(path.join(bin, name), ["--listen", "127.0.0.1:0", ...options],
    {stdio: ["ignore", "pipe", "pipe"], env: {...process.env, OPENBLAS_CORETYPE: undefined}});
  running.add(child);
  child.on("exit", () => running.delete(child));
  let log = "";
  child.stderr.on("data", (data) => { log += data; });
  const url = await new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => reject(new Error(`${name} says nothing; ${log}`)), 30000);
    child.stdout.on("data", (data) => {
      text += data;
      const line = /^listening on (http:\S+)\n/.exec(text);
      if (line) { clearTimeout(timer); resolve(line[1]); }
    });
    child.on("exit", (code) => reject(new Error(`${name} ended with ${code}: ${log}`)));
  });
  return {url, child};
}

process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

const bytesOf = (numbers) => new Uint8Array(new Float64Array(numbers).buffer);
const numbersOf = (bytes) => [...new Float64Array(bytes.slice().buffer)];
const matrix = (rows, cols, numbers) => ({rows, cols, dtype: FLOAT64, data: bytesOf(numbers)});

// The product of two integer matrices by the definition.
function product(a, b, m, k, n) {
  const c = new Array(m * n).fill(0);
  for (let i = 0; i < m; i++)
    for (let p = 0; p < k; p++)
      for (let j = 0; j < n; j++) c[i * n + j] += a[i * k + p] * b[p * n + j];
  return c;
}

const integers = (count, seed) => Array.from({length: count}, (_, i) => ((i + seed) * 7919) % 41 - 20);

function suite(name, startPeer) {
  const transports = {
    "Connect with protobuf": (baseUrl) => createConnectTransport({baseUrl, httpVersion: "1.1", useBinaryFormat: true}),
    "Connect with JSON": (baseUrl) => createConnectTransport({baseUrl, httpVersion: "1.1", useBinaryFormat: false}),
    "gRPC-Web": (baseUrl) => createGrpcWebTransport({baseUrl, httpVersion: "1.1"}),
  };
  describe(name, () => {
    let peer;
    before(async () => { peer = await startPeer(); });
    after(() => running.forEach((child) => child.kill("SIGKILL")));

    for (const [kind, makeTransport] of Object.entries(transports)) {
      // The module has no JSON; the worker speaks all of them.
      const speaks = (t) => peer.kinds.includes(kind) || (t.skip(`${name} does not speak it`), false);

      test(`${kind}: a product`, {timeout: 60000}, async (t) => {
        if (!speaks(t)) return;
        const client = createClient(Matmul, makeTransport(peer.url));
        for (const [m, k, n] of [[1, 1, 1], [2, 3, 4], [97, 101, 103]]) {
          const a = integers(m * k, 1), b = integers(k * n, 2);
          const reply = await client.multiply({a: matrix(m, k, a), b: matrix(k, n, b), productId: "from Node"});
          assert.deepEqual([reply.c.rows, reply.c.cols, reply.c.dtype], [m, n, FLOAT64]);
          assert.deepEqual(numbersOf(reply.c.data), product(a, b, m, k, n));
          assert.equal(reply.productId, "from Node");
        }
      });

      test(`${kind}: errors carry their code`, {timeout: 60000}, async (t) => {
        if (!speaks(t)) return;
        const client = createClient(Matmul, makeTransport(peer.url));
        await assert.rejects(client.multiply({a: matrix(2, 3, integers(6, 1)), b: matrix(2, 3, integers(6, 1))}),
          (error) => error instanceof ConnectError && error.code === Code.InvalidArgument && error.rawMessage !== "");
        await assert.rejects(client.multiply({a: {rows: 1, cols: 1, dtype: 5, data: new Uint8Array(1)}, b: {rows: 1, cols: 1, dtype: 5, data: new Uint8Array(1)}}),
          (error) => error.code === Code.Unimplemented);
        const reply = await client.multiply({a: matrix(1, 1, [3]), b: matrix(1, 1, [4])});
        assert.deepEqual(numbersOf(reply.c.data), [12]);
      });

      test(`${kind}: describe and health`, {timeout: 60000}, async (t) => {
        if (!speaks(t)) return;
        const transport = makeTransport(peer.url);
        const reply = await createClient(Matmul, transport).describe({});
        assert.equal(reply.name, name);
        assert.ok(reply.kernels.length > 0 && reply.cores > 0);
        const health = await createClient(Health, transport).check({service: ""});
        assert.equal(health.status, 1);
        await assert.rejects(createClient(Health, transport).check({service: "no.such.Service"}),
          (error) => error.code === Code.NotFound);
      });

      test(`${kind}: a stream of tiles`, {timeout: 60000}, async (t) => {
        if (!speaks(t)) return;
        if (!peer.streams) return t.skip(`${name} has no streams yet`);
        const client = createClient(Matmul, makeTransport(peer.url));
        const m = 900, k = 20, n = 500;
        const a = integers(m * k, 3), b = integers(k * n, 4);
        const c = new Array(m * n).fill(NaN);
        let tiles = 0;
        for await (const reply of client.multiplyTiles({a: matrix(m, k, a), b: matrix(k, n, b)})) {
          const {row, col, rows, cols} = reply.tile;
          const numbers = numbersOf(reply.c.data);
          for (let i = 0; i < rows; i++)
            for (let j = 0; j < cols; j++) c[(row + i) * n + col + j] = numbers[i * cols + j];
          tiles++;
        }
        assert.ok(tiles >= peer.leastTiles);
        assert.deepEqual(c, product(a, b, m, k, n));
      });
    }

    test("a deadline", {timeout: 60000}, async (t) => {
      if (!peer.slow) return t.skip("no slow peer");
      const client = createClient(Matmul, transports["Connect with protobuf"](peer.slow));
      const zeros = {rows: 1500, cols: 1500, dtype: FLOAT64, data: new Uint8Array(1500 * 1500 * 8)};
      await assert.rejects(client.multiply({a: zeros, b: zeros}, {timeoutMs: 500}),
        (error) => error.code === Code.DeadlineExceeded);
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 300);
      await assert.rejects(client.multiply({a: zeros, b: zeros}, {signal: stop.signal}),
        (error) => error.code === Code.Canceled);
    });

    test("modes", {timeout: 60000}, async (t) => {
      if (!peer.controls) return t.skip(`${name} has no modes`);
      const client = createClient(Controller, transports["Connect with protobuf"](peer.url));
      assert.equal((await client.setMode({mode: 1})).previous, 2);
      assert.equal((await client.getMode({})).mode, 1);
      assert.equal((await client.setMode({mode: 2})).previous, 1);
      await assert.rejects(client.setMode({mode: 77}), (error) => error.code === Code.InvalidArgument);
    });
  });
}

suite("tessera-worker", async () => ({
  url: (await start("tessera-worker")).url,
  slow: (await start("tessera-worker", "--kernel", "reference", "--threads", "1")).url,
  kinds: ["Connect with protobuf", "Connect with JSON", "gRPC-Web"], streams: true, leastTiles: 2,
}));

if (existsSync(path.join(bin, "tessera-server")))
  suite("tessera-server", async () => {
    const worker = await start("tessera-worker");
    return {
      url: (await start("tessera-server", "--worker", worker.url, "--mode", "proxy")).url,
      kinds: ["Connect with protobuf", "gRPC-Web"], streams: true, leastTiles: 1, controls: true,
    };
  });
