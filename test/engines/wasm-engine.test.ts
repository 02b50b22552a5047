import { openWasmEngine } from '@showtell/worker/engine/wasm/engine.js';
import { backends } from '../support/backends.js';
import { small } from '../support/small-model.js';
import { agreesWithTensorflow } from './against-tensorflow.js';
import { keepsContract } from './contract.js';

keepsContract(backends.wasm, small, () => openWasmEngine(small.options));
agreesWithTensorflow(backends.wasm, small, () => openWasmEngine(small.options));
