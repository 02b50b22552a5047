import { agreesWithSlim } from './against-slim.js';

// The kernels generate.py ran on too.
process.env['TF_ENABLE_ONEDNN_OPTS'] = '0';

agreesWithSlim('fused', { features: 1e-5, loss: 2e-6, decoder: 1e-5, encoder: 1e-4 });
// Batch norm of elementary operations rounds otherwise.
agreesWithSlim('plain', { features: 1e-5, loss: 2e-6, decoder: 1e-4, encoder: 0.02 });
