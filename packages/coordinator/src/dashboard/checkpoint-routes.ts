import type { FastifyInstance } from 'fastify';
import { ShowtellError } from '@showtell/shared/errors.js';
import { CheckpointStore } from '../checkpoints/checkpoint-store.js';
import { manifestFile } from '../checkpoints/manifest.js';
import { verifyCheckpoint } from '../checkpoints/read-checkpoint.js';
import { openInside } from './open-inside.js';
import type { Verified } from './page/payload.js';
import { notFound, stepOf, type WatchedRun } from './watched-run.js';

/** Downloads of checkpoints, and their verification. */
export function addCheckpointRoutes(app: FastifyInstance, find: (id: string) => WatchedRun | undefined): void {
  /** Reading a checkpoint whole takes the disk: one at a time. */
  let isVerifying = false;

  app.get<{ readonly Params: { run: string; step: string; file: string } }>(
    '/api/runs/:run/checkpoints/:step/:file',
    async ({ params: { run: id, step: text, file } }, reply) => {
      const run = find(id);
      const step = stepOf(text);
      if (run === undefined || step === null || !isCheckpointFile(file)) return notFound(reply);
      const handle = await openInside(run.folder.path, 'checkpoints', nameOf(step), file);
      if (handle === null) return notFound(reply);
      const { size } = await handle.stat();
      return reply
        .type(file === manifestFile ? 'application/json' : 'application/octet-stream')
        .header('content-length', size)
        .header('content-disposition', `attachment; filename="${id.replace(/[^\w.-]/gu, '_')}-${step}-${file}"`)
        .header('cache-control', 'no-store')
        .send(handle.createReadStream());
    },
  );

  app.post<{ readonly Params: { run: string; step: string } }>(
    '/api/runs/:run/checkpoints/:step/verify',
    async ({ params }, reply) => {
      const run = find(params.run);
      const step = stepOf(params.step);
      if (run === undefined || step === null) return notFound(reply);
      if (isVerifying) return reply.code(409).send({ error: 'another checkpoint is being verified' });
      isVerifying = true;
      try {
        return await verified(run, step);
      } finally {
        isVerifying = false;
      }
    },
  );
}

async function verified({ folder }: WatchedRun, step: number): Promise<Verified> {
  const path = CheckpointStore.read(folder.at('checkpoints')).pathOf(step);
  try {
    const manifest = await openInside(folder.path, 'checkpoints', nameOf(step), manifestFile);
    if (manifest === null) return { isSound: false, detail: `it has no ${manifestFile}` };
    await manifest.close();
    const { files } = await verifyCheckpoint(path);
    return { isSound: true, detail: `${Object.keys(files).join(', ')}: every byte as written` };
  } catch (error) {
    if (!(error instanceof ShowtellError)) throw error;
    return { isSound: false, detail: error.message };
  }
}

function isCheckpointFile(name: string): boolean {
  return name === manifestFile || /^[a-z]+\.safetensors$/u.test(name);
}

function nameOf(step: number): string {
  return String(step).padStart(8, '0');
}
