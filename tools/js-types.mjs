// SPDX-License-Identifier: Apache-2.0
/**
 * Writes wasm/js/types/: the JavaScript host's types for TypeScript, from its JSDoc.
 *
 *   node tools/js-types.mjs [--check]
 *
 *   --check    writes nothing; exit 1 and the files that differ when the tree is not what it should be
 *
 * Takes the TypeScript of tests/package-lock.json: run npm ci in tests/ first.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const js = join(root, 'wasm/js');
const types = join(js, 'types');
const tsc = join(root, 'tests/node_modules/typescript/bin/tsc');
/** What package.json exports. */
const ENTRIES = ['tessera', 'node-handler', 'transport-node'];

/** Every declaration that the entries reach, by file name.
 * @returns {Map<string, string>} */
function declarations() {
  const out = mkdtempSync(join(tmpdir(), 'tessera-types-'));
  try {
    execFileSync(process.execPath, [tsc, '--allowJs', '--declaration', '--emitDeclarationOnly', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'nodenext',
      '--lib', 'es2023,dom,dom.iterable,dom.asynciterable', '--types', 'node', '--typeRoots', join(root, 'tests/node_modules/@types'), '--outDir', out,
      ...ENTRIES.map((name) => join(js, `${name}.mjs`))], { stdio: ['ignore', 'inherit', 'inherit'] });
    /** @type {Map<string, string>} */
    const found = new Map();
    const wanted = [...ENTRIES];
    for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
      if (found.has(`${name}.d.mts`)) continue;
      // The comments of typedefs say again what the types after them say.
      const text = readFileSync(join(out, `${name}.d.mts`), 'utf8').replace(/^\/\*\*(?:(?!\*\/)[^])*?@typedef(?:(?!\*\/)[^])*\*\/\n/gm, '')
        .replace(/\b(\w+Array|ArrayBufferView)<ArrayBuffer(?:Like)?>/g, '$1'); // which TypeScript before 5.7 cannot read
      found.set(`${name}.d.mts`, `// Made by tools/js-types.mjs from ${name}.mjs; do not edit.\n${text}`);
      for (const [, next] of text.matchAll(/(?:from|import\() ?["']\.\/([\w-]+)\.mjs["']/g)) wanted.push(next);
    }
    return found;
  } finally {
    rmSync(out, { recursive: true });
  }
}

if (!existsSync(tsc)) {
  console.error('js-types.mjs: TypeScript is missing: run npm ci in tests/');
  process.exit(1);
}
const check = process.argv.includes('--check');
const wanted = declarations();
const present = existsSync(types) ? readdirSync(types) : [];
const different = [...new Set([...wanted.keys(), ...present])]
  .filter((name) => !present.includes(name) || readFileSync(join(types, name), 'utf8') !== wanted.get(name));
if (check) {
  if (different.length > 0) console.error(`wasm/js/types differs from what its sources say; run node tools/js-types.mjs: ${different.join(', ')}`);
  process.exit(different.length > 0 ? 1 : 0);
}
rmSync(types, { recursive: true, force: true });
mkdirSync(types);
for (const [name, text] of wanted) writeFileSync(join(types, name), text);
console.log(`${wanted.size} files, ${different.length} changed`);
