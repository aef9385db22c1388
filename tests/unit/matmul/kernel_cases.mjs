// SPDX-License-Identifier: Apache-2.0
//
// Runs the kernels' cases inside WebAssembly:
//   node kernel_cases.mjs MODULE.wasm FIRST_KERNEL
// FIRST_KERNEL is the name that must stand first in the module's table.
import { readFileSync } from 'node:fs';

const [file, first] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(file), {});
const x = instance.exports;
const text = (pointer) => {
  const bytes = new Uint8Array(x.memory.buffer, pointer >>> 0);
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
};

let failures = 0;
if (text(x.kernel_name(0)) !== first) {
  console.log(`the first kernel is ${text(x.kernel_name(0))}, not ${first}`);
  failures++;
}
const groups = ['small', 'large', 'special', 'steps'];
const least = [5000, 128, 1000, 16];
for (let kernel = 0; kernel < x.kernel_count(); kernel++) {
  groups.forEach((group, index) => {
    const failed = x.run(kernel, index);
    const cases = x.case_count();
    console.log(`${text(x.kernel_name(kernel))} ${group}: ${cases} cases, ${failed} failures ` +
      text(x.message()));
    if (failed !== 0 || cases < least[index]) failures++;
  });
}
process.exit(failures === 0 ? 0 : 1);
