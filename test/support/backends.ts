import { existsSync } from 'node:fs';
import type { EngineName } from '@showtell/shared/job/engine-names.js';
import { haveTensorflow } from './tensorflow.js';

/** Chromium's software GPU, which tests compute on where there is no other: Debian's package `chromium` has it. */
const swiftShader = '/usr/lib/chromium/vk_swiftshader_icd.json';
const haveGpu = existsSync(swiftShader) || process.env['VK_ICD_FILENAMES'] !== undefined;
if (existsSync(swiftShader)) process.env['VK_ICD_FILENAMES'] ??= swiftShader;

/** An engine as tests go over them; one a test file, since tfjs has one backend at a time. */
export interface Backend {
  readonly name: EngineName;
  readonly available: boolean;
  /** For a test's title: what it needs. */
  readonly needs: string;
}

export const backends = {
  tensorflow: { name: 'tensorflow', available: haveTensorflow, needs: 'needs the engine: showtell engine setup' },
  webgpu: { name: 'webgpu', available: haveGpu, needs: 'needs a GPU or apt-get install chromium' },
  wasm: { name: 'wasm', available: true, needs: 'needs nothing' },
} as const satisfies Record<EngineName, Backend>;
