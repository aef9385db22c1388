// SPDX-License-Identifier: Apache-2.0
/**
 * What every Connect client in JavaScript checks of a server of InteropService,
 * in Node and in browsers alike.
 *
 *   const checks = new Checks();
 *   await checkConnect(checks, registry, 'Connect', createConnectTransport({...}), {get: true});
 *   checks.passed, checks.failures
 */
import { create, equals } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient, decodeBinaryHeader, encodeBinaryHeader } from '@connectrpc/connect';

export class Checks {
  passed = 0;
  /** @type {string[]} */ failures = [];

  /** @param {unknown} good
   * @param {string} what */
  check(good, what) {
    if (good) this.passed++;
    else this.failures.push(what);
  }

  /** @param {string} what
   * @param {() => Promise<void>} body */
  async run(what, body) {
    try {
      await body();
    } catch (error) {
      this.failures.push(`${what}: ${error instanceof Error ? `${error.message}\n${error.stack}` : error}`);
    }
  }
}

/** A message with something in every field. */
export function full(registry, text) {
  return create(registry.getMessage('tessera.interop.v1.Request'), {
    text, data: Uint8Array.from({ length: 256 }, (_, i) => i), number: -(2n ** 63n) + 1n, real: -0.1,
    list: [0, -1, 2147483647, -2147483648],
    counts: { 'nümber': 2n ** 64n - 1n, '': 0n, b: 2n },
    choice: { case: 'nested', value: { text: 'inner "quoted" 🧩' } },
    color: 2,
    at: { seconds: 1700000000n, nanos: 123456000 },
  });
}

export const FAILURE = { code: 8, message: 'gone: 100% é' };

/**
 * @param {Checks} checks
 * @param {import('@bufbuild/protobuf').FileRegistry} registry
 * @param {string} kind
 * @param {import('@connectrpc/connect').Transport} transport
 * @param {{get?: boolean, clientStreams?: boolean}} [features]
 */
export async function checkConnect(checks, registry, kind, transport, { get = false, clientStreams = false } = {}) {
  const Request = registry.getMessage('tessera.interop.v1.Request');
  const Failure = registry.getMessage('tessera.interop.v1.Failure');
  const client = createClient(registry.getService('tessera.interop.v1.InteropService'), transport);
  const check = (good, what) => checks.check(good, `${kind}: ${what}`);
  const failed = (error) => {
    check(error instanceof ConnectError && error.code === Code.ResourceExhausted && error.rawMessage === FAILURE.message, `the error: ${error}`);
    const details = error instanceof ConnectError ? error.findDetails(Failure) : [];
    check(details.length === 1 && details[0].message === FAILURE.message && details[0].code === 8, `its detail: ${JSON.stringify(details)}`);
  };
  const rejection = (promise) => promise.then(() => undefined, (error) => error);
  const headers = () => {
    const made = new Headers({ 'x-interop': 'one', 'x-interop-bin': encodeBinaryHeader(Uint8Array.of(0, 255, 1)) });
    made.append('x-interop', 'two, three');
    return made;
  };
  const metadata = (header, trailer) => {
    check(header?.get('x-reply') === 'one, two, three', `header: ${header?.get('x-reply')}`);
    check(trailer?.get('x-trailer') === 'one, two, three', `trailer: ${trailer?.get('x-trailer')}`);
    for (const value of [header?.get('x-reply-bin'), trailer?.get('x-trailer-bin')])
      check(value && String(decodeBinaryHeader(value)) === '0,255,1', `binary metadata: ${value}`);
  };

  await checks.run(`${kind}: unary`, async () => {
    for (const request of [full(registry, 'one'), create(Request), create(Request, { data: Uint8Array.from({ length: 1 << 20 }, (_, i) => i * i >> 7) })]) {
      const reply = await client.unary(request);
      check(reply.requests.length === 1 && equals(Request, reply.requests[0], request), 'a message comes back as it went');
    }
    let header, trailer;
    await client.unary({}, { headers: headers(), onHeader: (h) => { header = h; }, onTrailer: (t) => { trailer = t; } });
    metadata(header, trailer);
    const reply = await client.get(full(registry, 'got'));
    check(reply.httpMethod === (get ? 'GET' : 'POST') && equals(Request, reply.requests[0], full(registry, 'got')), `get travelled as ${reply.httpMethod}`);
    failed(await rejection(client.unary({ failure: FAILURE })));
    const late = await rejection(client.unary({ delayMs: 20000 }, { timeoutMs: 200 }));
    check(late?.code === Code.DeadlineExceeded, `deadline: ${late}`);
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 50);
    const canceled = await rejection(client.unary({ delayMs: 1000 }, { signal: stop.signal }));
    check(canceled?.code === Code.Canceled, `cancelled: ${canceled}`);
  });
  await checks.run(`${kind}: server stream`, async () => {
    for (const count of [5, 0, 300]) {
      const request = { ...full(registry, 'stream'), replies: count };
      let got = 0, header, trailer;
      for await (const reply of client.serverStream(request, { headers: headers(), onHeader: (h) => { header = h; }, onTrailer: (t) => { trailer = t; } })) {
        if (reply.index !== got || (got === 0 && !equals(Request, reply.requests[0], request))) check(false, `reply ${got}`);
        got++;
      }
      check(got === count, `${got} replies of ${count}`);
      metadata(header, trailer);
    }
    let got = 0, error;
    try {
      for await (const reply of client.serverStream({ replies: 2, failure: FAILURE })) got += reply.index + 1;
    } catch (thrown) {
      error = thrown;
    }
    check(got === 3, `${got}: two replies, then the error`);
    failed(error);
    for await (const reply of client.serverStream({ replies: 1 << 20 })) {
      check(reply.index === 0, 'a long stream begins');
      break;
    }
  });
  if (!clientStreams) return;
  await checks.run(`${kind}: client stream`, async () => {
    const sent = ['first', 'second', 'third'].map((text) => full(registry, text));
    let header, trailer;
    const reply = await client.clientStream((async function* () { yield* sent; })(), { headers: headers(), onHeader: (h) => { header = h; }, onTrailer: (t) => { trailer = t; } });
    check(reply.requests.length === 3 && reply.requests.every((request, i) => equals(Request, request, sent[i])), 'all requests of a stream');
    metadata(header, trailer);
    failed(await rejection(client.clientStream((async function* () { yield { failure: FAILURE }; })())));
  });
}
