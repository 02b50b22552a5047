import type { FastifyInstance } from 'fastify';
import { runCommands, type RunCommand } from '../run-commands.js';
import { addCheckpointRoutes } from './checkpoint-routes.js';
import { evaluationPictures } from './evaluation-pictures.js';
import { openInside } from './open-inside.js';
import type { RunList, RunOverview } from './page/payload.js';
import { notFound, stepOf, type WatchedRun } from './watched-run.js';

/** A chart is no wider, in stretches. */
const usualStretches = 600;
const mostStretches = 2_000;
/** Browsers at a time. */
const mostWatchers = 64;

interface OfRun {
  readonly Params: { readonly run: string };
}

/** `/api`: what the page asks for. All of it is JSON but pictures, checkpoints and the events. */
export function addRunRoutes(app: FastifyInstance, runs: readonly WatchedRun[]): void {
  const find = (id: string): WatchedRun | undefined => runs.find((run) => run.id === id);

  app.get('/api/runs', async (): Promise<RunList> => {
    const listed = runs.map(({ id, folder }) => ({ id, name: folder.job().name, folder: id }));
    return { runs: listed, controls: runs.some(({ commands }) => commands !== null) };
  });

  app.get<OfRun>('/api/runs/:run', async ({ params }, reply) => {
    const run = find(params.run);
    if (run === undefined) return notFound(reply);
    const { files } = run.live;
    await files.refresh();
    const { history, summary } = files;
    const part = history.part(0, history.last, usualStretches);
    return { summary, now: await run.now(), history: part } satisfies RunOverview;
  });

  app.get<OfRun & { readonly Querystring: Record<string, string | undefined> }>(
    '/api/runs/:run/history',
    async ({ params, query }, reply) => {
      const run = find(params.run);
      if (run === undefined) return notFound(reply);
      await run.live.files.refresh();
      const { history } = run.live.files;
      const from = numberOf(query['from'], 0);
      const to = numberOf(query['to'], history.last);
      return history.part(from, to, Math.min(numberOf(query['stretches'], usualStretches), mostStretches));
    },
  );

  app.get<OfRun & { readonly Querystring: Record<string, string | undefined> }>(
    '/api/runs/:run/events',
    async ({ params, query, raw }, reply) => {
      const run = find(params.run);
      if (run === undefined) return notFound(reply);
      if (run.live.watchers >= mostWatchers) return reply.code(503).send({ error: 'too many browsers watch it' });
      reply.hijack();
      for (const [name, value] of Object.entries(reply.getHeaders()))
        if (value !== undefined) reply.raw.setHeader(name, value);
      const known = { revision: numberOf(query['revision'], -1), last: numberOf(query['last'], 0) };
      await run.live.watch(raw, reply.raw, known);
      return reply;
    },
  );

  app.get<{ readonly Params: { run: string; step: string } }>(
    '/api/runs/:run/evaluations/:step',
    async ({ params }, reply) => {
      const run = find(params.run);
      const step = stepOf(params.step);
      const found = run === undefined || step === null ? null : await evaluationPictures(run.folder, step);
      return found ?? notFound(reply);
    },
  );

  app.get<{ readonly Params: { run: string; name: string } }>(
    '/api/runs/:run/images/:name',
    async ({ params }, reply) => {
      const run = find(params.run);
      if (run === undefined || !/^\d+\.jpg$/u.test(params.name)) return notFound(reply);
      const handle = await openInside(run.folder.path, 'evaluations', 'images', params.name);
      if (handle === null) return notFound(reply);
      // A picture's number is its content's: the file is written once.
      return reply.type('image/jpeg').header('cache-control', 'private, max-age=3600').send(handle.createReadStream());
    },
  );

  app.post<{ readonly Params: { run: string; command: string } }>(
    '/api/runs/:run/commands/:command',
    async ({ params }, reply) => {
      const run = find(params.run);
      if (run === undefined || !isCommand(params.command)) return notFound(reply);
      if (run.commands === null)
        return reply.code(403).send({ error: 'this page only shows: ask the page of the coordinator' });
      run.commands.do(params.command);
      return run.now();
    },
  );

  addCheckpointRoutes(app, find);
}

function numberOf(text: string | undefined, fallback: number): number {
  const value = Number(text ?? NaN);
  return Number.isFinite(value) ? Math.floor(value) : fallback;
}

function isCommand(text: string): text is RunCommand {
  return runCommands.some((command) => command === text);
}
