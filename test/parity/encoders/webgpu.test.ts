import { agreesWithSlim } from './against-slim.js';
import { webgpu } from './computing.js';

const bounds = { features: 1e-4, trainingFeatures: 2e-3, loss: 1e-5, decoder: 1e-4, encoder: 0.05 };

agreesWithSlim('inception_v3', webgpu, bounds);
