import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Journal } from '@showtell/coordinator/journal.js';
import { modelParameters } from '@showtell/coordinator/model-parameters.js';
import type { AccountedStep } from '@showtell/coordinator/step-account.js';
import { jobSchema } from '@showtell/shared/job/job.js';
import { gradientBody } from '@showtell/shared/tensors/gradient-body.js';
import { dashboards, expressionsOf, filled, gpuPanelsOf } from '../support/dashboards.js';
import { eventually } from '../support/eventually.js';
import { linesOf, LocalCluster, logsOf, show, tinyJob, type Command } from '../support/local-run.js';
import { hasPrometheus, Prometheus } from '../support/prometheus.js';
import { rulesFile, textOf } from '../support/prometheus-rules.js';

const minutes = 60_000;
const folder = 'deploy/prometheus';
/** What a gradient has values of. */
const segmentsOf = (phase: string) =>
  phase === 'joint' ? (['decoder', 'encoder', 'statistics'] as const) : (['decoder'] as const);
const titleOf = ({ title }: { readonly title: string }): string => `${title}, `;

describe('a run on this machine, watched by Prometheus (skipped where there is none)', () => {
  if (!hasPrometheus) {
    it.skip('needs prometheus', () => undefined);
    return;
  }
  const cluster = LocalCluster.open();
  const run = cluster.at('watched');
  let training: Command;
  let serving: Command;
  let prometheus: Prometheus;
  let address = '';

  const targets = (...args: string[]) =>
    spawnSync(process.execPath, [`${folder}/targets.mjs`, '--out', cluster.at('targets.json'), ...args], {
      encoding: 'utf8',
    });
  const value = async (expression: string): Promise<number> =>
    Number((await prometheus.query(expression))[0]?.value[1] ?? Number.NaN);

  beforeAll(async () => {
    await cluster.drawData();
    training = cluster.train(run, {
      workers: 2,
      set: {
        'phases.decoderOnly.steps': 40,
        'phases.joint.steps': 100_000,
        'evaluation.everySteps': 30,
        'checkpoints.everySteps': 20,
        'cluster.parameterShards': 2,
      },
    });
    await training.until('a checkpoint', ({ type }) => type === 'checkpoint');
    serving = cluster.start(['serve', '--checkpoint', run, '--port', '0']);
    await eventually(
      'it listens',
      () => (address = /listening on http:\/\/(\S+)/u.exec(serving.output)?.[1] ?? '') !== '',
      minutes,
    );
    const written = targets(run, address);
    expect(written, written.stderr).toMatchObject({ status: 0 });

    // What is checked in, looking more often than is good for a longer run.
    const configuration = textOf(`${folder}/prometheus.yml`).replace(/_interval: \d+s/gu, '_interval: 1s');
    writeFileSync(cluster.at('prometheus.yml'), configuration);
    writeFileSync(cluster.at('rules.yaml'), textOf(rulesFile).replace('interval: 30s', 'interval: 1s'));
    prometheus = await Prometheus.start(cluster.at('prometheus.yml'));
    const pictures = join(cluster.data, 'images');
    const picture = readFileSync(join(pictures, readdirSync(pictures)[0] ?? ''));
    await eventually('the server is scraped', async () => (await value('count(showtell_serve_info)')) === 1, minutes);
    const headers = { 'content-type': 'image/jpeg' };
    const answer = await fetch(`http://${address}/caption`, { method: 'POST', headers, body: picture });
    expect(answer.status, await answer.text()).toBe(200);
  }, 10 * minutes);

  afterAll(async () => {
    await prometheus[Symbol.asyncDispose]();
    for (const command of [training, serving]) command.signal('SIGTERM');
    await Promise.all([training.ended, serving.ended]);
  });

  it('finds coordinator, shards, workers and server, and gives them the labels that rules and dashboards ask for', async () => {
    await eventually('all are up', async () => (await value('sum(up)')) === 6, minutes);
    const up = await prometheus.query('up');
    expect(
      up
        .map(
          ({ metric }) =>
            `${metric['app_kubernetes_io_instance'] ?? ''} ${metric['app_kubernetes_io_component'] ?? ''}`,
        )
        .sort(),
      logsOf(run),
    ).toEqual([
      'serve serve',
      'watched coordinator',
      ...['watched ps', 'watched ps'],
      ...['watched worker', 'watched worker'],
    ]);
  });

  it(
    'tells what the run itself tells',
    async () => {
      await training.until('an evaluation in the joint phase', ({ type, step }) => type === 'evaluation' && step > 40);
      await eventually('two workers', async () => (await value('showtell_workers')) === 2);
      const before = training.step;
      await eventually('steps go on', async () => (await value('showtell_step')) > before, minutes);
      expect(await value('showtell_step')).toBeLessThanOrEqual(training.step);
      expect(await value('showtell_steps_planned')).toBe(100_040);
      expect(await value('showtell_gradient_clip')).toBe(5);
      expect(await value('showtell_run_disk_free_bytes')).toBeGreaterThan(0);
      expect(await value('count(showtell_worker_info)')).toBe(2);
    },
    5 * minutes,
  );

  it('tells what the shards tell: a part each of the parameters, the same version, and every gradient added', async () => {
    const { parameters } = show(run);
    expect(await value('sum(showtell_shard_open)')).toBe(2);
    // Each part is aligned for itself.
    const held = await value('sum(showtell_shard_parameters_bytes)');
    expect(held).toBeGreaterThanOrEqual(parameters.bytes);
    expect(held).toBeLessThan(1.05 * parameters.bytes);
    expect(await value('min(showtell_shard_parameters_bytes)')).toBeGreaterThan(0.1 * parameters.bytes);
    expect(await value('min(showtell_shard_step)')).toBeGreaterThanOrEqual(40);
    // Scrapes are not of one moment.
    expect(await value('max(showtell_shard_step) - min(showtell_shard_step)')).toBeLessThan(20);
    const added = await value('min(showtell_shard_gradients_total{outcome="added"})');
    expect(added).toBeGreaterThanOrEqual(40 * tinyJob.batch.units);
    expect(await value('sum(showtell_shard_gradients_total{outcome=~"not-finite|missing"}) or vector(0)')).toBe(0);
  });

  it(
    'has the numbers that the run has written down: loss, scores and the bytes of its gradients',
    async () => {
      expect(await cluster.run(['pause', run])).toMatchObject({ code: 0 });
      await training.untilQuiet(2_000);
      const steps = linesOf<AccountedStep>(join(run, 'steps.jsonl'));
      const last = steps.at(-1)!;
      await eventually(
        'the last step is scraped',
        async () => (await value('showtell_step')) === last.step + 1,
        minutes,
      );
      await eventually('the pause is scraped', async () => (await value('showtell_paused')) === 1, minutes);
      expect(await value('showtell_loss')).toBe(last.loss);
      expect(await value('showtell_gradient_norm')).toBe(last.gradientNorm);
      const entries = Journal.read(join(run, 'journal.jsonl'));
      const evaluated = entries.findLast((entry) => entry.type === 'evaluation')!;
      expect(await value('showtell_perplexity')).toBe(evaluated.scores.perplexity);
      for (const [i, bleu] of evaluated.scores.captions!.bleu.entries())
        expect(await value(`showtell_bleu{n="${i + 1}"}`)).toBe(bleu);
      expect(await value('showtell_cider')).toBe(evaluated.scores.captions!.cider);

      // A gradient has all its dense values and of the words' embeddings those of its captions: none of them at least, all at most.
      const { layout } = modelParameters(jobSchema.parse({ ...tinyJob, data: { directory: cluster.data } }));
      const { vocabulary } = tinyJob.model.decoder;
      const bytes = (units: readonly { readonly phase: string }[], rows: number): number =>
        units.reduce((sum, { phase }) => sum + gradientBody(layout, segmentsOf(phase), rows, 'float32').bytes, 0);
      const counted = steps.flatMap(({ phase, units }) => units.map(() => ({ phase })));
      // Units of the next step may be summed already.
      const ahead = Array.from({ length: 2 * tinyJob.batch.units }, () => ({ phase: last.phase }));
      const received = await value('sum(showtell_exchange_bytes_total{direction="received"})');
      expect(received).toBeGreaterThanOrEqual(bytes(counted, 0));
      expect(received).toBeLessThanOrEqual(bytes([...counted, ...ahead], vocabulary));
      // What workers say that they sent may have been for nothing, but not the other way round.
      const sent = await value('sum(showtell_worker_exchange_bytes_total{direction="sent"})');
      expect(sent).toBeGreaterThanOrEqual(received);
      expect(await cluster.run(['resume', run])).toMatchObject({ code: 0 });
      await training.untilStep(last.step + 3);
    },
    3 * minutes,
  );

  it('gives the rules what they record, and sets off no alert', async () => {
    await eventually('images a second are recorded', async () => (await value('run:showtell_examples:rate5m')) > 0);
    const share = await value('sum(run_part:showtell_step_part_seconds:share5m)');
    expect(share).toBeCloseTo(1, 3);
    expect(await value('run:showtell_worker_utilisation:ratio5m')).toBeGreaterThan(0);
    expect(await value('run:showtell_worker_utilisation:ratio5m')).toBeLessThanOrEqual(1);
    expect(await value('run:showtell_steps_at_risk')).toBeLessThanOrEqual(25);
    expect(await prometheus.query('ALERTS{alertstate="firing"}')).toEqual([]);
  });

  it.each(dashboards)(
    'has an answer to every query of %s',
    async (_, dashboard) => {
      // Nothing happens in a run for certain, and it computes on no GPU.
      const without = [...dashboard.annotations.list.map(({ name }) => name), ...gpuPanelsOf(dashboard).map(titleOf)];
      const expressions = expressionsOf(dashboard).filter(([what]) => !without.some((one) => what.startsWith(one)));
      let empty: string[] = [];
      await eventually(
        'every panel has data',
        async () => {
          const answers = await Promise.all(
            expressions.map(([, expression]) => prometheus.query(filled(expression, '1m'))),
          );
          empty = expressions
            .filter((_, i) => !answers[i]?.some(({ value: [, text] }) => Number.isFinite(Number(text))))
            .map(([what]) => what);
          return empty.length === 0;
        },
        20_000,
      ).catch(() => undefined);
      expect(empty).toEqual([]);
    },
    minutes,
  );

  it(
    'targets.mjs finds the runs in a folder, and follows them',
    async () => {
      const watching = spawn(process.execPath, [
        `${folder}/targets.mjs`,
        '--watch',
        '--out',
        cluster.at('followed.json'),
        cluster.folder,
      ]);
      try {
        const found = (): number => {
          try {
            return (JSON.parse(readFileSync(cluster.at('followed.json'), 'utf8')) as unknown[]).length;
          } catch {
            return -1;
          }
        };
        await eventually('five processes', () => found() === 5);
        training.signal('SIGTERM');
        await training.ended;
        await eventually('none is left', () => found() === 0);
      } finally {
        watching.kill();
      }
      expect(targets()).toMatchObject({ status: 64 });
    },
    minutes,
  );
});
