import { agreesWithSlim } from './against-slim.js';
import { fused } from './computing.js';

// The kernels generate.py ran on too.
process.env['TF_ENABLE_ONEDNN_OPTS'] = '0';

// Where two values that a maximum is taken of are nearly alike, a last bit sends a gradient another way: so gradients
// behind pools and ReLUs agree to a share of their norm, however exact the rest is.
const bounds = { features: 1e-4, trainingFeatures: 1e-4, loss: 1e-5, decoder: 1e-4, encoder: 0.02 };

agreesWithSlim('inception_v1', fused, bounds);
agreesWithSlim('inception_v2', fused, bounds);
agreesWithSlim('inception_v3', fused, bounds);
agreesWithSlim('inception_resnet_v2', fused, bounds);
