import { agreesWithSlim } from './against-slim.js';

// The kernels a run computes with. TF-Slim itself differs as much between them: the sums behind a β's gradient cancel.
agreesWithSlim('fused', { features: 1e-5, loss: 1e-5, decoder: 1e-4, encoder: 0.05 });
