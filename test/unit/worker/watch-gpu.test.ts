import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openWorkerMetrics } from '@showtell/worker/metrics.js';
import { parseGpuLoad, watchGpu } from '@showtell/worker/watch-gpu.js';
import { expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../support/eventually.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const line = 'GPU-5f1a, 2048, 81559, 37';

it("reads nvidia-smi's answer, with what a slice of a GPU does not tell left out", () => {
  const memory = { usedBytes: 2 ** 31, sizeBytes: 81_559 * 2 ** 20 };
  expect(parseGpuLoad(`${line}\n`)).toEqual([{ uuid: 'GPU-5f1a', ...memory, utilisation: 0.37 }]);
  expect(parseGpuLoad('GPU-5f1a, 2048, 81559, [N/A]')).toEqual([{ uuid: 'GPU-5f1a', ...memory, utilisation: null }]);
  expect(parseGpuLoad('No devices were found\n')).toEqual([]);
  expect(parseGpuLoad('GPU-5f1a, [N/A], [N/A], 3\n')).toEqual([]);
});

/** A program of this name that answers as the driver's does, for machines without one. */
function withNvidiaSmi(script: string): void {
  const folder = temporaryFolder();
  const file = join(folder, 'nvidia-smi');
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  const before = process.env['PATH'];
  process.env['PATH'] = `${folder}:${before ?? ''}`;
  onTestFinished(() => void (process.env['PATH'] = before));
}

it("tells of the one GPU that is the worker's", async () => {
  withNvidiaSmi(`case "$*" in *--id=1*) echo '${line}';; *) echo 'GPU-other, 1, 2, 3';; esac`);
  const { registry, series } = openWorkerMetrics();
  using _gpu = watchGpu('1', series);
  await eventually('it has looked', async () => (await registry.metrics()).includes('gpu="GPU-5f1a"'));
  const text = await registry.metrics();
  expect(text).toContain('showtell_worker_gpu_memory_used_bytes{gpu="GPU-5f1a"} 2147483648');
  expect(text).toContain('showtell_worker_gpu_utilisation_ratio{gpu="GPU-5f1a"} 0.37');
  expect(text).not.toContain('GPU-other');
});

it('says nothing where nvidia-smi fails', async () => {
  withNvidiaSmi('touch "$0.asked"; exit 9');
  const { registry, series } = openWorkerMetrics();
  using _gpu = watchGpu('0', series);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await registry.metrics()).not.toContain('gpu="');
});
