// SPDX-License-Identifier: Apache-2.0
/**
 * connect-node against a server of InteropService over HTTP/1.1:
 *
 *   node node-client.mjs DESCRIPTORS.binpb URL
 */
import { readFileSync } from 'node:fs';
import { argv, exit } from 'node:process';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { compressionBrotli, compressionGzip, createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { checkConnect, Checks } from './checks.mjs';

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(argv[2])));
const baseUrl = argv[3];
const checks = new Checks();
for (const [name, makeTransport] of [['Connect', createConnectTransport], ['gRPC-Web', createGrpcWebTransport]]) {
  for (const useBinaryFormat of [true, false]) {
    for (const [coding, sendCompression] of [['', null], [' gzip', compressionGzip], [' br', compressionBrotli]]) {
      const transport = makeTransport({ baseUrl, httpVersion: '1.1', useBinaryFormat, sendCompression, acceptCompression: sendCompression === null ? [] : [sendCompression], useHttpGet: true });
      await checkConnect(checks, registry, `${name} ${useBinaryFormat ? 'protobuf' : 'JSON'}${coding}`, transport, { get: name === 'Connect', clientStreams: true });
    }
  }
}
for (const failure of checks.failures) console.error(`FAILED ${failure}`);
console.log(`connect-node: ${checks.passed} checks passed, ${checks.failures.length} failed`);
exit(checks.failures.length === 0 && checks.passed > 0 ? 0 : 1);
