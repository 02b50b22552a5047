import { vi } from 'vitest';
import { agreesWithSlim } from './against-slim.js';
import { webgpu } from './computing.js';

// On a GPU made of software, on two slow cores, a joint step of this size takes most of a minute.
vi.setConfig({ testTimeout: 240_000 });

const bounds = { features: 1e-4, trainingFeatures: 2e-3, loss: 1e-5, decoder: 1e-4, encoder: 0.05 };

agreesWithSlim('inception_v3', webgpu, bounds);
