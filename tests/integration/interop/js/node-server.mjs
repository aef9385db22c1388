// SPDX-License-Identifier: Apache-2.0
/**
 * connect-node's server of InteropService over HTTP/1.1, without generated code:
 *
 *   node server.mjs DESCRIPTORS.binpb     prints "listening on URL"; runs until stdin ends
 */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { argv, stdin } from 'node:process';
import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { ConnectError } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(argv[2])));
const Service = registry.getService('tessera.interop.v1.InteropService');
const Reply = registry.getMessage('tessera.interop.v1.Reply');
const Failure = registry.getMessage('tessera.interop.v1.Failure');

/** What interop.proto says about metadata. */
function copyHeaders(context) {
  for (const suffix of ['', '-bin']) {
    const value = context.requestHeader.get(`x-interop${suffix}`);
    if (value === null) continue;
    context.responseHeader.append(`x-reply${suffix}`, value);
    context.responseTrailer.append(`x-trailer${suffix}`, value);
  }
}

const pause = (request, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, request?.delayMs ?? 0);
  signal.addEventListener('abort', () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

function fail(request) {
  const failure = request?.failure;
  if (failure) throw new ConnectError(failure.message, failure.code, undefined, [{ desc: Failure, value: failure }]);
}

async function answer(requests, context) {
  copyHeaders(context);
  await pause(requests[0], context.signal);
  fail(requests[0]);
  return create(Reply, { requests, httpMethod: context.requestMethod });
}

async function* replies(requests, context) {
  const count = requests[0]?.replies ?? 0;
  for (let index = 0; index < count; index++) {
    await pause(requests[0], context.signal);
    yield create(Reply, { index, requests: index === 0 ? requests : [] });
  }
  fail(requests[0]);
}

async function all(stream) {
  const requests = [];
  for await (const request of stream) requests.push(request);
  return requests;
}

const adapter = connectNodeAdapter({
  routes: (router) => router.service(Service, {
    unary: (request, context) => answer([request], context),
    get: (request, context) => answer([request], context),
    async* serverStream(request, context) {
      copyHeaders(context);
      yield* replies([request], context);
    },
    clientStream: async (stream, context) => answer(await all(stream), context),
    async* bidi(stream, context) {
      copyHeaders(context);
      yield* replies(await all(stream), context);
    },
  }),
  // What a Connect GET leaves in the reply is the adapter's affair.
});
const server = http.createServer(adapter);
server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
stdin.resume().on('end', () => process.exit(0));
