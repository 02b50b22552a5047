import { agreesWithSlim } from './against-slim.js';
import { fused } from './computing.js';

// The kernels a run computes with. TF-Slim itself differs as much between them: the sums behind a β's gradient cancel.
const bounds = { features: 1e-4, trainingFeatures: 2e-3, loss: 1e-5, decoder: 1e-4, encoder: 0.05 };

agreesWithSlim('inception_v1', fused, bounds);
agreesWithSlim('inception_v2', fused, bounds);
agreesWithSlim('inception_v3', fused, bounds);
agreesWithSlim('inception_resnet_v2', fused, bounds);
