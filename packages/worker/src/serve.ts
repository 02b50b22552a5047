import { once } from 'node:events';
import { ShowtellError } from '@showtell/shared/errors.js';
import { serveHttp } from '@showtell/shared/service/http.js';
import { openLog } from '@showtell/shared/service/log.js';
import { version } from '@showtell/shared/version.js';
import { Captioner, checkBeam, mostBeam } from './caption/captioner.js';
import { onEngine } from './caption/engine-asked.js';
import { loadCheckpoint } from './caption/load-checkpoint.js';
import { quietPictures } from './caption/quiet-pictures.js';
import { PictureThreads } from './caption/picture-threads.js';
import { endProcess } from './end-process.js';
import { watchLife } from './life.js';
import { CaptionQueue } from './serve/caption-queue.js';
import { Endpoint, isFatal } from './serve/endpoint.js';
import { openServeMetrics } from './serve/metrics.js';
import { openApiDocument } from './serve/openapi.js';
import { parseServeOptions } from './serve/options.js';
import { RateLimit } from './serve/rate-limit.js';

/** Pictures a graph call takes on a CPU, where four together cost less than four alone and one with padding little more. */
const cpuBatch = 4;

/** The process behind `showtell serve`. @returns the exit code, once it was told to stop and has answered what it had begun */
async function main(argv: readonly string[]): Promise<number> {
  const options = parseServeOptions(argv);
  using log = openLog({ fields: { role: 'serve' } });
  const model = await onEngine(await loadCheckpoint(options.checkpoint, options.vocabulary), options.engine);
  const { job } = model;
  quietPictures(job);
  const defaultBeam = checkBeam(options.beam ?? job.evaluation.beam, model, 'serve');
  const rules = {
    maxBytes: Math.floor(options.maxMegabytes * 1_048_576),
    defaultBeam,
    mostBeam: Math.max(defaultBeam, Math.min(options.maxBeam, mostBeam(model))),
  };
  const batch = options.batch ?? (job.engine.device === 'cpu' ? cpuBatch : null);
  await using captioner = await Captioner.open(model, { batch, threads: options.threads });
  const { maxMegapixels } = options;
  await using threads = await PictureThreads.open(job, { maxMegapixels, setting: '--max-megapixels' }, null);

  const metrics = openServeMetrics();
  metrics.series.info.set({ job: job.name, engine: job.engine.name, device: job.engine.device, version }, 1);
  const stop = new AbortController();
  let state: 'service/loading' | 'service/stopping' | null = 'service/loading';
  let failure: unknown = null;
  const fail = (error: unknown): void => {
    log.error('captions could not be computed', { error });
    if (!isFatal(error)) return;
    failure ??= error;
    stop.abort();
  };
  void threads.died.then(fail);
  const queue = new CaptionQueue(captioner, {
    computed: (pictures, seconds) => {
      metrics.series.batch.observe(pictures);
      metrics.series.compute.observe(seconds);
    },
    failed: fail,
  });
  const endpoint = new Endpoint({
    ...{ rules, threads, queue, metrics, log },
    maxQueue: options.maxQueue,
    rate: new RateLimit(options.rate),
    timeoutMs: options.timeout * 1000,
    refusing: () => state,
    openApi: openApiDocument({ ...rules, maxMegapixels }),
  });
  await using server = await serveHttp({
    host: options.host,
    port: options.port,
    registry: metrics.registry,
    ready: () => (state === null ? true : state === 'service/loading' ? 'the model is being loaded' : 'it is stopping'),
    healthy: () => (failure === null ? true : 'the engine has failed'),
    handle: (request, response) => endpoint.handle(request, response),
    // Behind the endpoint's own limit, for requests that never get as far as a header.
    requestMs: options.timeout * 1000 + 5_000,
    what: 'captions',
    setting: '--port',
  });
  using _life = watchLife(false, {
    drain: (reason) => {
      log.info('stopping: what was accepted is answered first', { reason });
      stop.abort();
    },
    force: () => undefined,
  });

  // Compiles the graphs, so that the first request does not wait for it.
  const blank = new Float32Array(3 * job.model.encoder.imageSize ** 2);
  await captioner.caption([{ image: blank, beam: defaultBeam }]);
  state = null;
  log.info('ready', { url: server.url, checkpoint: options.checkpoint, beam: defaultBeam, batch: captioner.batch });
  process.stdout.write(`listening on ${server.url}\n`);

  if (!stop.signal.aborted) await once(stop.signal, 'abort');
  state = 'service/stopping';
  await server.drain();
  if (failure !== null)
    throw failure instanceof Error ? failure : new ShowtellError('engine/thread-died', { detail: '' });
  log.info('stopped');
  return 0;
}

endProcess('showtell serve', main(process.argv.slice(2)));
