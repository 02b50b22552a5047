import { agreesWithSlim } from './against-slim.js';
import { wasm } from './computing.js';

// Kernels of its own, as far from those that made the values as oneDNN's are.
const bounds = { features: 1e-4, trainingFeatures: 2e-3, loss: 1e-5, decoder: 1e-4, encoder: 0.05 };

agreesWithSlim('inception_v1', wasm, bounds);
agreesWithSlim('inception_v2', wasm, bounds);
agreesWithSlim('inception_v3', wasm, bounds);
agreesWithSlim('inception_resnet_v2', wasm, bounds);
