import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '@showtell/coordinator/local/free-port.js';
import { bitsOf, LocalCluster, logOf, type TrainOptions } from '../support/local-run.js';
import { OtlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.js';

const minutes = 60_000;
const cluster = LocalCluster.open();
const plain = cluster.at('plain');
// Through gRPC, so that calls carry the trace to the parameter server in both directions.
const options: TrainOptions = {
  workers: 2,
  set: {
    ...{ 'phases.decoderOnly.steps': 4, 'phases.joint.steps': 4, 'evaluation.everySteps': 4 },
    ...{ 'cluster.sharedMemory': false, 'checkpoints.everySteps': 4 },
  },
};
const withEnvironment = (...variables: string[]): TrainOptions => ({ ...options, through: ['env', ...variables] });

beforeAll(async () => {
  await cluster.drawData();
  await cluster.trained(plain, options);
}, 5 * minutes);

describe('a run of two workers with a collector', () => {
  const run = cluster.at('traced');
  let receiver: OtlpReceiver;
  let spans: readonly ReceivedSpan[];

  beforeAll(async () => {
    receiver = await OtlpReceiver.start();
    await cluster.trained(run, withEnvironment(`OTEL_EXPORTER_OTLP_ENDPOINT=${receiver.endpoint}`));
    ({ spans } = receiver);
  }, 5 * minutes);
  afterAll(() => receiver[Symbol.asyncDispose]());

  const named = (name: string, among = spans) => among.filter((span) => span.name === name);
  const parentOf = (span: ReceivedSpan) => spans.find(({ id, trace }) => id === span.parent && trace === span.trace);

  it('trains to the same bits', () => {
    expect(bitsOf(run)).toEqual(bitsOf(plain));
  });

  it('sends one trace a step, from the coordinator over the queue to the workers and back', () => {
    const steps = named('step').filter((span) => span.attributes['showtell.abandoned'] === undefined);
    expect(steps.map(({ attributes }) => Number(attributes['showtell.step'])).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    for (const root of steps) {
      expect(root).toMatchObject({ service: 'showtell-coordinator', parent: '' });
      expect(root.attributes['showtell.run']).toMatch(/^tiny-/u);
      const trace = spans.filter((span) => span.trace === root.trace);
      // A worker may give a unit back for a more urgent one; another then leases the same offer.
      const isUsed = (span: ReceivedSpan): boolean =>
        span.name === 'unit' ? span.attributes['showtell.outcome'] === 'accepted' : true;
      // Of four units: what is done once for each.
      for (const [name, parent, service] of [
        ['offer', 'step', 'showtell-coordinator'],
        ['unit', 'offer', 'showtell-worker'],
        ['prepare', 'unit', 'showtell-worker'],
        ['compute', 'unit', 'showtell-worker'],
        ['push', 'unit', 'showtell-worker'],
        ['sum', 'push', 'showtell-coordinator'],
      ] as const) {
        const found = named(name, trace).filter((span) => isUsed(span) && isUsed(parentOf(span)!));
        expect(found, `${name} of step ${root.attributes['showtell.step'] ?? ''}`).toHaveLength(4);
        for (const span of found) {
          expect(span).toMatchObject({ service, failed: false });
          expect(parentOf(span)?.name).toBe(parent);
        }
      }
      const units = named('unit', trace).filter(isUsed);
      expect(units.map(({ attributes }) => Number(attributes['showtell.unit'])).sort()).toEqual([0, 1, 2, 3]);
      const [turn] = named('turn', trace);
      expect(turn?.parent).toBe(root.id);
      for (const name of ['clip', 'update', 'publish']) expect(parentOf(named(name, trace)[0]!)).toBe(turn);
    }
  });

  it('tells phase, worker and times that fit each other', () => {
    const phases = new Map(
      named('turn').map(({ attributes }) => [attributes['showtell.step'], attributes['showtell.phase']]),
    );
    expect([phases.get(3), phases.get(4)]).toEqual(['decoder-only', 'joint']);
    expect(new Set(named('unit').map(({ instance }) => instance))).toEqual(new Set(['worker-1', 'worker-2']));
    for (const unit of named('unit')) expect(unit.attributes['showtell.worker']).toBe(unit.instance);
    for (const sum of named('sum')) {
      const push = parentOf(sum)!;
      expect(sum.start, 'one machine, one clock').toBeGreaterThanOrEqual(push.start - 5_000_000n);
      expect(sum.attributes['showtell.worker']).toBe(push.instance);
    }
    const pulls = named('pull');
    expect(pulls.length).toBeGreaterThan(0);
    for (const sent of named('send version')) expect(parentOf(sent)?.name).toBe('pull');
    expect(named('send version').length).toBeGreaterThan(0);
  });

  it('sends evaluations and checkpoints too', () => {
    const evaluations = named('evaluation');
    expect(evaluations.map(({ attributes }) => Number(attributes['showtell.step'])).sort()).toEqual([0, 4, 8]);
    for (const root of evaluations) {
      const trace = spans.filter((span) => span.trace === root.trace);
      expect(named('unit', trace).length).toBeGreaterThan(1);
      expect(named('score', trace)).toHaveLength(1);
      for (const compute of named('compute', trace)) expect(parentOf(compute)?.name).toBe('unit');
    }
    const saved = named('checkpoint').map(({ attributes }) => Number(attributes['showtell.step']));
    expect([...new Set(saved)].sort()).toEqual([4, 8]);
  });
});

it(
  'a run with shards sends what they do with gradients and versions as theirs, within what their workers do',
  async () => {
    await using receiver = await OtlpReceiver.start();
    const endpoint = `OTEL_EXPORTER_OTLP_ENDPOINT=${receiver.endpoint}`;
    const traced = withEnvironment(endpoint, 'OTEL_BSP_SCHEDULE_DELAY=200');
    const run = cluster.at('sharded');
    await cluster.trained(run, { ...traced, set: { ...traced.set, 'cluster.parameterShards': 2 } });
    expect(bitsOf(run)).toEqual(bitsOf(plain));
    const { spans } = receiver;
    for (const [name, within] of [
      ['sum', 'push'],
      ['send version', 'pull'],
    ] as const) {
      const found = spans.filter((span) => span.name === name && span.service === 'showtell-ps');
      // On a busy machine a worker may be ended before its last spans are sent.
      const parents = found.flatMap(({ parent, trace }) => {
        expect(parent).not.toBe('');
        return spans.filter((span) => span.id === parent && span.trace === trace);
      });
      expect(parents.length, name).toBeGreaterThan(0);
      for (const parent of parents) expect(parent).toMatchObject({ name: within, service: 'showtell-worker' });
    }
    const steps = spans.filter(({ name, service }) => name === 'sum' && service === 'showtell-ps');
    expect(new Set(steps.map(({ attributes }) => attributes['showtell.step']))).toEqual(
      new Set([0, 1, 2, 3, 4, 5, 6, 7]),
    );
  },
  5 * minutes,
);

it(
  'a run whose collector is away trains to the same bits, ends in time, and says so in its log',
  async () => {
    const run = cluster.at('unheard');
    const endpoint = `OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:${await freePort()}`;
    const training = await cluster.trained(run, withEnvironment(endpoint, 'OTEL_BSP_SCHEDULE_DELAY=200'));
    expect(bitsOf(run)).toEqual(bitsOf(plain));
    expect((await training.ended).stderr).toBe('');
    expect(logOf(run, 'coordinator').filter(({ message }) => message === 'tracing')).toHaveLength(1);
  },
  5 * minutes,
);

it(
  'sends nothing where the sampler takes nothing, and where the exporter is none',
  async () => {
    await using receiver = await OtlpReceiver.start();
    const endpoint = `OTEL_EXPORTER_OTLP_ENDPOINT=${receiver.endpoint}`;
    const sampler = ['OTEL_TRACES_SAMPLER=parentbased_traceidratio', 'OTEL_TRACES_SAMPLER_ARG=0'];
    await cluster.trained(cluster.at('unsampled'), withEnvironment(endpoint, ...sampler));
    await cluster.trained(cluster.at('off'), withEnvironment(endpoint, 'OTEL_TRACES_EXPORTER=none'));
    expect(receiver.spans).toEqual([]);
  },
  5 * minutes,
);
