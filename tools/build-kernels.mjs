// Assembles packages/shared/src/tensors/kernels.wat into kernels-wasm.ts beside it; --check only compares.
import { readFileSync, writeFileSync } from 'node:fs';
import wabt from 'wabt';

const folder = new URL('../packages/shared/src/tensors/', import.meta.url);
const source = new URL('kernels.wat', folder);
const target = new URL('kernels-wasm.ts', folder);

const { parseWat } = await wabt();
const module = parseWat('kernels.wat', readFileSync(source, 'utf8'), { simd: true });
module.validate();
const { buffer } = module.toBinary({});
const lines = Buffer.from(buffer)
  .toString('base64')
  .match(/.{1,100}/g);
const text = `// Assembled from kernels.wat by tools/build-kernels.mjs. Not to be edited.
export const kernelsWasm =
${lines.map((line) => `  '${line}'`).join(' +\n')};
`;
if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    process.stderr.write('kernels-wasm.ts is not what kernels.wat assembles to: run node tools/build-kernels.mjs\n');
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
