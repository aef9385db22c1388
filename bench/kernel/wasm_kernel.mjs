// SPDX-License-Identifier: Apache-2.0
//
// Speed of the module's kernels in this JavaScript engine, one thread:
//   node bench/kernel/wasm_kernel.mjs MODULE.wasm [N ...]   (modules: bench/kernel/CMakeLists.txt)
// Prints Gflop/s, best of several runs, whole and in steps of 100 Mflop.
import { readFileSync } from 'node:fs';

const [file, ...sizes] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(file), {});
const x = instance.exports;
const text = (p) => {
  const bytes = new Uint8Array(x.memory.buffer, p);
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
};

function best(n, maxFlops, runs) {
  let least = Infinity;
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    if (x.multiply(maxFlops) === 0) throw new Error('the product was refused');
    least = Math.min(least, performance.now() - start);
  }
  return (2 * n ** 3) / least / 1e6;
}

for (const n of sizes.length ? sizes.map(Number) : [256, 512, 1024]) {
  for (const kernel of [0, 1]) {
    for (const double of [0, 1]) {
      if (!x.setup(kernel, double, n)) throw new Error('no memory');
      best(n, 0, 3);
      const runs = Math.max(3, Math.min(20, Math.round(4e9 / n ** 3)));
      const whole = best(n, 0, runs);
      const stepped = best(n, 1e8, runs);
      console.log(`${n} ${text(x.kernel_name(kernel)).padEnd(10)} ${double ? 'f64' : 'f32'}  ` +
        `${whole.toFixed(1)} Gflop/s, in steps ${stepped.toFixed(1)}`);
      x.teardown();
    }
  }
}
