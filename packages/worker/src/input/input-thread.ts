import { parentPort, workerData } from 'node:worker_threads';
import { openData } from '@showtell/shared/bus/open-data.js';
import { closeRecords } from '@showtell/shared/data/dataset.js';
import { ShowtellError, type ErrorCode } from '@showtell/shared/errors.js';
import type { Job } from '@showtell/shared/job/job.js';
import { DiskFeatureCache, openMemoryCache, type FeatureCache, type PictureKey } from './feature-cache.js';
import { openDecoderFor } from './image-decoder.js';
import { prepareUnit, type InputRules, type PreparedUnit, type PrepareRequest } from './prepare-unit.js';
import { RecordReader } from './read-records.js';

/** What the thread is started with. */
export interface InputThreadData {
  /** A folder, or a bucket's URL. */
  readonly location: string;
  readonly data: Pick<Job['data'], 'cacheBytes'>;
  readonly engine: Pick<Job['engine'], 'name' | 'device'>;
  readonly rules: InputRules;
}

/** Where features are kept from now on; null: nowhere. */
export type CachePlace =
  | { readonly kind: 'memory'; readonly key: string }
  | { readonly kind: 'disk'; readonly key: string; readonly folder: string };

export type InputRequest =
  | { readonly type: 'prepare'; readonly id: number; readonly unit: PrepareRequest }
  | { readonly type: 'use-cache'; readonly place: CachePlace | null }
  | { readonly type: 'keep'; readonly pictures: readonly PictureKey[]; readonly features: Float32Array }
  | { readonly type: 'close' };

export type InputResponse =
  | { readonly type: 'opened' }
  | { readonly type: 'prepared'; readonly id: number; readonly unit: PreparedUnit }
  | { readonly type: 'failed'; readonly id: number | null; readonly error: PlainError }
  | { readonly type: 'warning'; readonly error: PlainError };

/** An error as it crosses threads. */
export type PlainError =
  { readonly code: ErrorCode; readonly facts: unknown } | { readonly code: null; readonly message: string };

function plainError(error: unknown): PlainError {
  if (error instanceof ShowtellError) return { code: error.code as ErrorCode, facts: error.facts };
  return { code: null, message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

async function serve(port: NonNullable<typeof parentPort>): Promise<void> {
  const { location, data, engine, rules } = workerData as InputThreadData;
  const answer = (response: InputResponse): void => port.postMessage(response);
  const dataset = await openData(location, data);
  const decoder = await openDecoderFor(engine);
  const reader = new RecordReader(dataset, (error) => answer({ type: 'warning', error: plainError(error) }));
  let cache: FeatureCache | null = null;
  let cacheKey: string | null = null;
  const tools = { rules, reader, decoder, cache: () => cache, cacheKey: () => cacheKey };
  const openCache = (place: CachePlace): FeatureCache => {
    if (place.kind === 'memory') return openMemoryCache();
    const warn = (error: unknown): void => answer({ type: 'warning', error: plainError(error) });
    return new DiskFeatureCache(place.folder, place.key, rules.dropout.features, warn);
  };

  // One after the other: the work is the processor's, and what came first is needed first.
  let last: Promise<void> = Promise.resolve();
  port.on('message', (request: InputRequest) => {
    last = last.then(async () => {
      switch (request.type) {
        case 'prepare':
          try {
            answer({ type: 'prepared', id: request.id, unit: await prepareUnit(request.unit, tools) });
          } catch (error) {
            answer({ type: 'failed', id: request.id, error: plainError(error) });
          }
          return;
        case 'use-cache':
          if ((request.place?.key ?? null) === cacheKey) return;
          cache?.[Symbol.dispose]();
          cacheKey = request.place?.key ?? null;
          cache = null;
          try {
            if (request.place !== null) cache = openCache(request.place);
          } catch (error) {
            answer({ type: 'warning', error: plainError(error) });
          }
          return;
        case 'keep': {
          const F = rules.dropout.features;
          for (const [i, picture] of request.pictures.entries())
            cache?.put(picture, request.features.subarray(i * F, (i + 1) * F));
          return;
        }
        case 'close':
          cache?.[Symbol.dispose]();
          await closeRecords(dataset);
          port.close();
          return;
        default:
          request satisfies never;
      }
    });
  });
  port.on('messageerror', (error) => {
    throw error;
  });
  answer({ type: 'opened' });
}

if (parentPort !== null) {
  const port = parentPort;
  serve(port).catch((error: unknown) => {
    port.postMessage({ type: 'failed', id: null, error: plainError(error) } satisfies InputResponse);
    port.close();
  });
}
