import { agreesWithTraining } from './against-training.js';

// The kernels generate.py ran on too.
process.env['TF_ENABLE_ONEDNN_OPTS'] = '0';

agreesWithTraining("TensorFlow's own", { loss: 1e-5, joint: 2e-3 });
