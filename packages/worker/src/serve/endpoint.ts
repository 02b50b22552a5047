import type { IncomingMessage, ServerResponse } from 'node:http';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { ScoredCaption } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { Logger } from '@showtell/shared/service/log.js';
import type { PictureThreads } from '../caption/picture-threads.js';
import type { CaptionQueue } from './caption-queue.js';
import { readCaptionRequest, type RequestRules } from './caption-request.js';
import type { ServeMetrics } from './metrics.js';
import { Problem, problemBody, problemOf } from './problem.js';
import type { RateLimit } from './rate-limit.js';

export interface EndpointOptions {
  readonly rules: RequestRules;
  /** Requests accepted and not yet answered, at most. */
  readonly maxQueue: number;
  readonly rate: RateLimit;
  readonly timeoutMs: number;
  readonly threads: Pick<PictureThreads, 'read'>;
  readonly queue: Pick<CaptionQueue, 'caption'>;
  /** Why no request is taken now; null: they are. */
  readonly refusing: () => 'service/loading' | 'service/stopping' | null;
  readonly openApi: object;
  readonly metrics: ServeMetrics;
  readonly log: Logger;
}

/** A client that is still sending when its answer is there gets so long to see it, in milliseconds. */
const lingerMs = 1_000;

/** Status in the metrics of a request whose client went away: nginx's. */
const clientGone = '499';

/** The routes of `showtell serve` beside `/metrics`, `/healthz` and `/readyz`. */
export class Endpoint {
  #accepted = 0;

  constructor(private readonly options: EndpointOptions) {}

  /** @returns false when the path is none of its own */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const path = (request.url ?? '/').split('?')[0];
    if (path === '/openapi.json' && isRead(request)) send(response, 200, this.options.openApi);
    else if (path === '/openapi.json') void refuse(request, response, methodNot('GET'));
    else if (path !== '/caption') void refuse(request, response, notFound(path ?? '/'));
    else if (request.method !== 'POST') void refuse(request, response, methodNot('POST'));
    else void this.#answer(request, response);
    return true;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { series } = this.options.metrics;
    const began = performance.now();
    let status = clientGone;
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the client has gone')));
    try {
      const captions = await this.#captions(request, gone.signal);
      status = '200';
      send(response, 200, { captions });
    } catch (error) {
      if (gone.signal.aborted || request.errored !== null) return;
      const problem = problemOf(error);
      if (problem.status === 500) this.options.log.error('a request failed', { error });
      status = String(problem.status);
      await refuse(request, response, problem);
    } finally {
      series.requests.inc({ status });
      series.duration.observe((performance.now() - began) / 1000);
    }
  }

  /** Admits the request, reads it, has its picture decoded and captioned. @throws Problem, or what those throw */
  async #captions(request: IncomingMessage, gone: AbortSignal): Promise<object[]> {
    const { rules, timeoutMs, threads, queue } = this.options;
    this.#admit(request);
    this.#count(1);
    const late = new AbortController();
    let isRead = false;
    const timer = setTimeout(() => late.abort(timedOut(isRead, timeoutMs)), timeoutMs);
    const over = AbortSignal.any([gone, late.signal]);
    try {
      const { image, beam, upright } = await orAborted(readCaptionRequest(request, rules), over);
      isRead = true;
      const picture = await orAborted(threads.read(image, 'The picture', upright, over), over);
      return plain(await queue.caption({ image: picture.image, beam }, over));
    } finally {
      clearTimeout(timer);
      this.#count(-1);
    }
  }

  #admit(request: IncomingMessage): void {
    const { refusing, maxQueue, rate } = this.options;
    const reason = refusing();
    if (reason !== null) {
      const text = reason === 'service/loading' ? 'The model is being loaded.' : 'The service is being stopped.';
      throw new Problem(reason, text, { retryAfter: 5 });
    }
    const client = request.socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
    const wait = rate.take(client, performance.now() / 1000);
    if (wait > 0) {
      const message = `More than ${rate.rate} requests a second came from ${client}.`;
      throw new Problem('request/rate', message, { retryAfter: Math.ceil(wait) });
    }
    if (this.#accepted >= maxQueue)
      throw new Problem('request/queue-full', `${maxQueue} requests wait already.`, { retryAfter: 1 });
  }

  #count(change: number): void {
    this.#accepted += change;
    this.options.metrics.series.queue.set(this.#accepted);
  }
}

function plain(captions: readonly ScoredCaption[]): object[] {
  return captions.map(({ caption, logProbability }) => ({
    caption,
    logprob: logProbability,
    probability: Math.exp(logProbability),
  }));
}

function timedOut(isRead: boolean, timeoutMs: number): Problem {
  const seconds = timeoutMs / 1000;
  if (!isRead) return new Problem('request/slow', `The request did not arrive whole within ${seconds} s.`);
  const message = `No caption was there after ${seconds} s.`;
  return new Problem('service/timeout', message, { retryAfter: 5 });
}

/** The promise, or the signal's reason if that comes first. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  return Promise.race([promise, aborted]);
}

function isRead({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

function notFound(path: string): Problem {
  return new Problem('request/not-found', `There is nothing at ${path}.`, {
    remedy: 'POST a picture to /caption; /openapi.json describes it.',
  });
}

function methodNot(allow: string): Problem {
  return new Problem('request/method', `This takes ${allow} only.`, { allow });
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, head(JSON.stringify(body)));
  response.end(JSON.stringify(body));
}

function head(text: string): Record<string, string | number> {
  return {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  };
}

/**
 * Answers with a problem. A client whose body was not read to its end would see a broken connection rather than the
 * answer, were it closed at once: the rest is thrown away for a moment, then the connection is closed.
 */
async function refuse(request: IncomingMessage, response: ServerResponse, problem: Problem): Promise<void> {
  const text = JSON.stringify(problemBody(problem));
  const { retryAfter, allow } = problem.options;
  if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
  if (allow !== undefined) response.setHeader('allow', allow);
  if (!request.complete) response.setHeader('connection', 'close');
  response.writeHead(problem.status, head(text));
  response.write(text);
  if (!request.complete) {
    request.on('error', () => undefined);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, lingerMs);
      const over = (): void => {
        clearTimeout(timer);
        resolve();
      };
      request.once('end', over).once('close', over).resume();
    });
  }
  response.end();
}

/** Whether the engine can compute nothing any more. */
export function isFatal(error: unknown): boolean {
  return error instanceof ShowtellError && (error.code as string) === 'engine/thread-died';
}
