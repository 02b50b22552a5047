import { openWebgpuEngine } from '@showtell/worker/engine/webgpu/engine.js';
import { backends } from '../support/backends.js';
import { SmallModel } from '../support/small-model.js';
import { agreesWithTensorflow } from './against-tensorflow.js';
import { keepsContract } from './contract.js';

/** Chromium's software GPU takes seconds for what a processor does at once. */
const small = new SmallModel({ name: 'inception_v2', depthMultiplier: 0.125, minDepth: 4, imageSize: 48 });

keepsContract(backends.webgpu, small, () => openWebgpuEngine(small.options));
agreesWithTensorflow(backends.webgpu, small, () => openWebgpuEngine(small.options));
