// SPDX-License-Identifier: Apache-2.0
/** What runs in the browser: see browser.mjs. */
import { createFileRegistry, equals, fromBinary, toBinary, create } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-web';
import * as grpcWeb from 'grpc-web';
import { checkConnect, Checks, FAILURE, full } from './checks.mjs';

const baseUrl = new URLSearchParams(location.search).get('url');
const descriptors = await (await fetch('/descriptors.binpb')).arrayBuffer();
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, new Uint8Array(descriptors)));
const checks = new Checks();

// ---- connect-web ----

for (const useBinaryFormat of [true, false]) {
  const codec = useBinaryFormat ? 'protobuf' : 'JSON';
  await checkConnect(checks, registry, `connect-web Connect ${codec}`, createConnectTransport({ baseUrl, useBinaryFormat, useHttpGet: true }), { get: true });
  await checkConnect(checks, registry, `connect-web gRPC-Web ${codec}`, createGrpcWebTransport({ baseUrl, useBinaryFormat }));
}

// ---- grpc-web, Google's client ----

const Request = registry.getMessage('tessera.interop.v1.Request');
const Reply = registry.getMessage('tessera.interop.v1.Reply');

/** @param {string} name
 * @param {string} type */
const descriptor = (name, type) => new grpcWeb.MethodDescriptor(
  `/tessera.interop.v1.InteropService/${name}`, type, Object, Object,
  (message) => toBinary(Request, message), (bytes) => fromBinary(Reply, bytes));
const UNARY = descriptor('Unary', grpcWeb.MethodType.UNARY);
const STREAM = descriptor('ServerStream', grpcWeb.MethodType.SERVER_STREAMING);
const url = (method) => baseUrl + method.getName();

for (const format of ['text', 'binary']) {
  const kind = `grpc-web ${format === 'text' ? 'application/grpc-web-text' : 'application/grpc-web+proto'}`;
  const client = new grpcWeb.GrpcWebClientBase({ format });
  const check = (good, what) => checks.check(good, `${kind}: ${what}`);
  const call = (request, headers = {}) => new Promise((resolve) => {
    let status, header;
    const stream = client.rpcCall(url(UNARY), request, headers, UNARY, (error, reply) => setTimeout(() => resolve({ error, reply, status, header })));
    stream.on('status', (one) => { status = one; });
    stream.on('metadata', (one) => { header = one; });
  });
  const read = (request, headers = {}) => new Promise((resolve) => {
    const replies = [];
    let status;
    const stream = client.serverStreaming(url(STREAM), request, headers, STREAM);
    const done = (error) => setTimeout(() => resolve({ replies, error, status }), 50);
    stream.on('data', (reply) => replies.push(reply));
    stream.on('status', (one) => { status = one; });
    stream.on('error', done);
    stream.on('end', () => done(undefined));
  });

  await checks.run(`${kind}: unary`, async () => {
    for (const request of [full(registry, 'one'), create(Request), create(Request, { data: Uint8Array.from({ length: 100001 }, (_, i) => i * i >> 7) })]) {
      const { reply, error } = await call(request);
      check(error === null && reply.requests.length === 1 && equals(Request, reply.requests[0], request), `a message comes back as it went: ${error}`);
    }
    const { status, header } = await call(create(Request), { 'x-interop': 'one' });
    check(header?.['x-reply'] === 'one', `header: ${JSON.stringify(header)}`);
    check(status?.metadata?.['x-trailer'] === 'one', `trailer: ${JSON.stringify(status)}`);
    const { error } = await call(create(Request, { failure: FAILURE }));
    check(error?.code === 8 && error.message === FAILURE.message, `error: ${JSON.stringify(error)}`);
    check(error?.metadata?.['grpc-status-details-bin']?.length > 0, 'the details of an error');
    const late = await call(create(Request, { delayMs: 20000 }), { deadline: String(Date.now() + 300) });
    check(late.error?.code === 4, `deadline: ${JSON.stringify(late.error)}`);
  });
  await checks.run(`${kind}: server stream`, async () => {
    for (const count of [5, 0, 300]) {
      const request = { ...full(registry, 'stream'), replies: count };
      const { replies, error } = await read(request);
      check(error === undefined && replies.length === count && replies.every((reply, i) => reply.index === i), `${replies.length} replies of ${count}: ${error}`);
      if (count > 0) check(equals(Request, replies[0].requests[0], request), 'the first reply holds the request');
    }
    const { replies, error } = await read(create(Request, { replies: 2, failure: FAILURE }));
    check(replies.length === 2 && error?.code === 8 && error.message === FAILURE.message, `two replies, then the error: ${replies.length}, ${JSON.stringify(error)}`);
  });
}

// ---- CORS, as a browser sees it ----

await checks.run('CORS', async () => {
  // A POST with a type and headers that need a preflight; the reply's own headers are readable.
  const reply = await fetch(`${baseUrl}/tessera.interop.v1.InteropService/Unary`, {
    method: 'POST', headers: { 'content-type': 'application/json', 'connect-protocol-version': '1', 'x-interop': 'seen', authorization: 'Bearer none' }, body: '{"text": "hello"}',
  });
  checks.check(reply.ok && reply.headers.get('x-reply') === 'seen' && reply.headers.get('trailer-x-trailer') === 'seen', 'CORS: headers of another origin are readable');
  checks.check((await reply.json()).requests[0].text === 'hello', 'CORS: the reply is readable');
  const missing = await fetch(`${baseUrl}/nothing.Here/AtAll`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
  checks.check(missing.status === 404, 'CORS: errors are readable, too');
});

await fetch('/result', { method: 'POST', body: JSON.stringify({ passed: checks.passed, failures: checks.failures }) });
