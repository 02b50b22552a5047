import { agreesWithTraining } from './against-training.js';

// The kernels a run computes with: batch norm's sums cancel, and round otherwise.
agreesWithTraining("oneDNN's", { loss: 1e-4, joint: 5e-3 });
