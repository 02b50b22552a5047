import { agreesWithSlim } from './against-slim.js';
import { plain } from './computing.js';

// The kernels generate.py ran on too.
process.env['TF_ENABLE_ONEDNN_OPTS'] = '0';

// Batch norm of elementary operations rounds otherwise.
const bounds = { features: 1e-4, trainingFeatures: 1e-3, loss: 1e-5, decoder: 1e-4, encoder: 0.02 };

agreesWithSlim('inception_v1', plain, bounds);
agreesWithSlim('inception_v2', plain, bounds);
agreesWithSlim('inception_v3', plain, bounds);
