// SPDX-License-Identifier: Apache-2.0
/** What the page computes without a browser: .npy files (against NumPy), typed matrices, fillings, the check. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { checkProduct } from '../../web/check.mjs';
import { makeMatrix, MatrixError, parseMatrix, randomFrom } from '../../web/matrix.mjs';
import { NpyError, readNpy, writeNpy } from '../../web/npy.mjs';
import { duration, number, size, speed } from '../../web/words.mjs';

const PYTHON = process.env.TESSERA_PYTHON ?? '/usr/bin/python3';

/** Runs a line of NumPy; `out` is what it writes to stdout.
 * @param {string} code
 * @param {Uint8Array} [input] */
function python(code, input) {
  const stdout = execFileSync(PYTHON, ['-c', `import sys, io\nimport numpy as np\n${code}`], { input });
  return stdout.buffer.slice(stdout.byteOffset, stdout.byteOffset + stdout.length);
}

test('.npy as NumPy writes it: both orders, both byte orders, both types, versions 1 to 3', () => {
  const expected = Array.from({ length: 35 * 37 }, (_, i) => i * 0.5 - 100);
  for (const dtype of ['<f4', '<f8', '>f4', '>f8']) {
    for (const order of ['C', 'F']) {
      for (const version of [1, 2, 3]) {
        const buffer = python(`b = io.BytesIO()
a = np.asarray((np.arange(35*37)*0.5-100).reshape(35, 37), dtype="${dtype}", order="${order}")
np.lib.format.write_array(b, a, version=(${version}, 0))
sys.stdout.buffer.write(b.getvalue())`);
        const matrix = readNpy(buffer);
        assert.deepEqual([matrix.rows, matrix.cols, matrix.dtype], [35, 37, dtype.endsWith('4') ? 'float32' : 'float64']);
        assert.deepEqual([...matrix.data], expected, `${dtype} ${order} ${version}`);
      }
    }
  }
});

test('.npy as NumPy reads it', () => {
  for (const dtype of /** @type {const} */ (['float32', 'float64'])) {
    const matrix = makeMatrix({ rows: 7, cols: 5, dtype, filling: 'normal', seed: 3, left: true });
    const [header, data] = writeNpy(matrix);
    assert.equal(header.length % 64, 0);
    const file = Buffer.concat([header, new Uint8Array(data.buffer)]);
    const back = python('a = np.load(io.BytesIO(sys.stdin.buffer.read()))\nassert a.shape == (7, 5) and a.flags.c_contiguous\nprint(a.dtype, *[float(x).hex() for x in a.ravel()])', file);
    const [type, ...numbers] = new TextDecoder().decode(back).trim().split(' ');
    assert.equal(type, dtype);
    assert.equal(numbers.length, 35);
    const again = readNpy(file.buffer.slice(file.byteOffset, file.byteOffset + file.length));
    assert.deepEqual(again, matrix);
  }
});

test('.npy that cannot be held is refused in words', () => {
  const file = (/** @type {string} */ dictionary, dataBytes = 0, version = 1) => {
    const head = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0, dictionary.length & 255, dictionary.length >> 8]);
    const bytes = Buffer.concat([head, Buffer.from(dictionary), Buffer.alloc(dataBytes)]);
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  };
  const cases = /** @type {[ArrayBuffer, RegExp][]} */ ([
    [new ArrayBuffer(0), /not a .npy/], [new TextEncoder().encode('PK and some more bytes').buffer, /not a .npy/],
    [file("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 1), }", 8), /holds <i8; save it with/],
    [file("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", 24), /1 dimension;/],
    [file("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", 8), /0 dimensions/],
    [file("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2, 2), }", 64), /3 dimensions/],
    [file("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }", 31), /need 32 bytes, but the .npy file has 31/],
    [file("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }", 33), /need 32 bytes/],
    [file("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 2), }"), /too large/],
    [file("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967295, 4294967295), }"), /too large/],
    [file("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2, 2), }"), /records/],
    [file("{'descr': '<f8', 'shape': (2, 2), }"), /header/], [file('{}', 0, 9), /version 9/],
    [file("{'descr': '<f8'").slice(0, 20), /ends inside its header/],
  ]);
  for (const [buffer, message] of cases) assert.throws(() => readNpy(buffer), (error) => error instanceof NpyError && message.test(error.message), String(message));
});

test('typed matrices, in the notations of several programs', () => {
  for (const text of ['1 2 3\n4 5 6', ' 1, 2,\t3 ;4 5 6;', '[1 2 3; 4 5 6]', '[[1, 2, 3],\n [4, 5, 6]]', '1,2,3,\n4,5,6,\n\n', 'array([[1., 2., 3.],[4., 5., 6.]])'.slice(6, -1), '1e0 2 3\r\n4 0x5 6']) {
    const { rows, cols, data } = parseMatrix(text, 'float64');
    assert.deepEqual([rows, cols, ...data], [2, 3, 1, 2, 3, 4, 5, 6], text);
  }
  assert.deepEqual([...parseMatrix('−1 -inf NaN +Infinity', 'float32').data], [-1, -Infinity, NaN, Infinity]);
  const bad = /** @type {[string, RegExp][]} */ ([['', /no numbers/], [' ;; ', /no numbers/], ['1 2\n3', /row 2 has 1 numbers, row 1 has 2/], ['1 2\n3 x', /row 2, column 2: “x”/], ['1,,2', /column 2: “”/], ['1.2.3', /“1.2.3”/]]);
  for (const [text, message] of bad) assert.throws(() => parseMatrix(text, 'float64'), (error) => error instanceof MatrixError && message.test(error.message), text);
});

test('fillings are what they say, and repeatable', () => {
  const make = (/** @type {any} */ filling, seed = 1) => makeMatrix({ rows: 101, cols: 99, dtype: 'float64', filling, seed, left: true }).data;
  const integers = make('integers');
  assert.deepEqual([...new Set(integers)].sort((x, y) => x - y), [-4, -3, -2, -1, 0, 1, 2, 3, 4]);
  assert.deepEqual(make('integers'), integers);
  assert.notDeepEqual(make('integers', 2), integers);
  const mean = (/** @type {any} */ data) => data.reduce((/** @type {number} */ s, /** @type {number} */ x) => s + x, 0) / data.length;
  assert.ok(Math.abs(mean(make('uniform')) - 0.5) < 0.02);
  const normal = make('normal');
  assert.ok(Math.abs(mean(normal)) < 0.05 && Math.abs(mean(normal.map((x) => x * x)) - 1) < 0.1);
  assert.equal(make('identity').reduce((s, x) => s + x, 0), 99);
  const left = makeMatrix({ rows: 8, cols: 2, dtype: 'float64', filling: 'waves', seed: 0, left: true }).data;
  const right = makeMatrix({ rows: 2, cols: 8, dtype: 'float64', filling: 'waves', seed: 0, left: false }).data;
  const near = (/** @type {any} */ data, /** @type {number[]} */ expected) => expected.forEach((x, i) => assert.ok(Math.abs(data[i] - x) < 1e-12, `${i}: ${data[i]}, not ${x}`));
  near(left, [0, 0, 1, 0, 0, 0, -1, 0, 0, 0, 1, 0]); // sin(2 (k+1) 2π i / 8) / (k+1), two periods
  near(right, [1, 0, -1, 0, 1, 0, -1, 0]); // cos(2 · 2π j / 8)
  near(makeMatrix({ rows: 2, cols: 3, dtype: 'float64', filling: 'waves', seed: 0, left: false }).data, [1, -0.5, -0.5, 1, -0.5, -0.5]); // too few points for a quarter
  near(makeMatrix({ rows: 1, cols: 1, dtype: 'float64', filling: 'waves', seed: 0, left: false }).data, [1]);
});

/** @param {any} a
 * @param {any} b
 * @param {boolean} ta
 * @param {boolean} tb */
function naive(a, b, ta, tb) {
  const at = (/** @type {any} */ m, /** @type {boolean} */ t, /** @type {number} */ i, /** @type {number} */ j) => t ? m.data[j * m.cols + i] : m.data[i * m.cols + j];
  const [rows, depth, cols] = [ta ? a.cols : a.rows, ta ? a.rows : a.cols, tb ? b.rows : b.cols];
  const data = new a.data.constructor(rows * cols);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) for (let p = 0; p < depth; p++) data[i * cols + j] += at(a, ta, i, p) * at(b, tb, p, j);
  return { rows, cols, dtype: a.dtype, data };
}

test('the check passes honest products and catches one wrong element', () => {
  let seed = 1;
  for (const dtype of /** @type {const} */ (['float32', 'float64'])) {
    for (const filling of /** @type {const} */ (['integers', 'normal', 'uniform', 'waves'])) {
      for (const [transposeA, transposeB] of [[false, false], [true, false], [false, true], [true, true]]) {
        const [m, n, k] = [40, 33, 57];
        const a = makeMatrix({ rows: transposeA ? k : m, cols: transposeA ? m : k, dtype, filling, seed: seed++, left: true });
        const b = makeMatrix({ rows: transposeB ? n : k, cols: transposeB ? k : n, dtype, filling, seed: seed++, left: false });
        const c = naive(a, b, transposeA, transposeB);
        const factors = { a, b, transposeA, transposeB };
        const honest = checkProduct(factors, c, randomFrom(seed));
        assert.ok(honest.ok, `${dtype} ${filling}: ${honest.error}`);
        if (filling === 'integers') assert.ok(honest.exact);
        const typical = Math.sqrt(c.data.reduce((/** @type {number} */ s, /** @type {number} */ x) => s + x * x, 0) / c.data.length);
        c.data[seed % c.data.length] += Math.max(typical, 1) * (dtype === 'float32' ? 0.05 : 1e-9);
        assert.ok(!checkProduct(factors, c, randomFrom(seed)).ok, `${dtype} ${filling}: a wrong element was not seen`);
        c.data[seed % c.data.length] = NaN;
        assert.ok(!checkProduct(factors, c, randomFrom(seed)).ok, 'NaN was not seen');
      }
    }
  }
});

test('the check accuses nobody of an overflow, and sees what is wrong beside one', () => {
  const of = (/** @type {'float32' | 'float64'} */ dtype, /** @type {number[]} */ values) =>
    ({ rows: 2, cols: 2, dtype, data: dtype === 'float32' ? Float32Array.from(values) : Float64Array.from(values) });
  for (const [dtype, big] of /** @type {['float32' | 'float64', number][]} */ ([['float32', 1e38], ['float64', 1e307]])) {
    const a = of(dtype, [big, big, 2, 3]);
    const b = of(dtype, [big, 2, 3, 4]);
    const factors = { a, b, transposeA: false, transposeB: false };
    const c = naive(a, b, false, false);
    assert.equal(c.data[0], Infinity);
    assert.deepEqual(checkProduct(factors, c, randomFrom(1)), { ok: true, exact: false, error: NaN });
    c.data[3] = -big; // the second row is finite
    assert.ok(!checkProduct(factors, c, randomFrom(1)).ok);
    const small = { ...factors, a: of(dtype, [1, 2, 3, 4]), b: of(dtype, [1, 2, 3, 4]) };
    for (const wrong of [NaN, Infinity, -Infinity]) assert.ok(!checkProduct(small, of(dtype, [7, 10, 15, wrong]), randomFrom(1)).ok);
    const holes = { ...factors, a: of(dtype, [NaN, 1, 1, 1]), b: of(dtype, [1, 2, 3, 4]) };
    assert.deepEqual(checkProduct(holes, of(dtype, [NaN, NaN, 4, 6]), randomFrom(1)), { ok: true, exact: false, error: NaN });
    assert.ok(!checkProduct(holes, of(dtype, [NaN, NaN, 4, 7]), randomFrom(1)).ok, 'a wrong row beside one of NaN');
  }
});

test('numbers as people read them', () => {
  assert.deepEqual([0.123, 4.56, 78.9, 1234, 45_678, 83_000].map(duration), ['0.12 ms', '4.6 ms', '79 ms', '1.23 s', '45.7 s', '1 min 23 s']);
  assert.deepEqual([12, 2048, 5 * 2 ** 20, 64 * 2 ** 20, 3 * 2 ** 30].map(size), ['12 B', '2 KiB', '5.0 MiB', '64 MiB', '3.0 GiB']);
  assert.deepEqual([-3, 0.5, 1e12].map(number), ['−3', '0.50000', '1.0000e+12']);
  assert.deepEqual([0.1234, 52.34, 0.0000014, 0].map(speed), ['0.12 GFLOP/s', '52.3 GFLOP/s', '<0.01 GFLOP/s', '<0.01 GFLOP/s']);
});
