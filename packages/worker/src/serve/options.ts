import { parseArgs } from 'node:util';
import { ShowtellError } from '@showtell/shared/errors.js';
import { type EngineAsked, parseEngine } from '../caption/engine-asked.js';

/** What the process behind `showtell serve` is started with; the command's help tells what each is. */
export interface ServeOptions {
  readonly checkpoint: string;
  readonly vocabulary: string | null;
  readonly host: string;
  readonly port: number;
  readonly beam: number | null;
  readonly maxBeam: number;
  readonly batch: number | null;
  readonly threads: number | null;
  /** null: the job's. */
  readonly engine: EngineAsked | null;
  readonly maxMegabytes: number;
  readonly maxMegapixels: number;
  readonly maxQueue: number;
  /** Requests a second and client; 0: no limit. */
  readonly rate: number;
  /** Seconds a request may take. */
  readonly timeout: number;
}

/** @throws ShowtellError `usage/invalid` */
export function parseServeOptions(argv: readonly string[]): ServeOptions {
  const { values } = parsed(argv);
  if (values.checkpoint === undefined) throw invalid('--checkpoint is missing');
  const port = number('--port', values.port ?? '8080', 0, true);
  if (port > 65_535) throw invalid(`--port ${port} is no port`);
  const maybe = (option: string, text: string | undefined): number | null =>
    text === undefined ? null : number(option, text, 1, true);
  return {
    checkpoint: values.checkpoint,
    vocabulary: values.vocabulary ?? null,
    host: values.host ?? '127.0.0.1',
    port,
    beam: maybe('--beam', values.beam),
    maxBeam: number('--max-beam', values['max-beam'] ?? '10', 1, true),
    batch: maybe('--batch', values.batch),
    threads: maybe('--threads', values.threads),
    engine: values.engine === undefined ? null : parseEngine(values.engine, 'serve'),
    maxMegabytes: number('--max-megabytes', values['max-megabytes'] ?? '16', 0.001, false),
    maxMegapixels: number('--max-megapixels', values['max-megapixels'] ?? '50', 0.001, false),
    maxQueue: number('--max-queue', values['max-queue'] ?? '64', 1, true),
    rate: number('--rate', values.rate ?? '20', 0, false),
    timeout: number('--timeout', values.timeout ?? '30', 0.001, false),
  };
}

function parsed(argv: readonly string[]) {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      args: [...argv],
      options: {
        checkpoint: text,
        vocabulary: text,
        host: text,
        port: text,
        beam: text,
        'max-beam': text,
        batch: text,
        threads: text,
        engine: text,
        'max-megabytes': text,
        'max-megapixels': text,
        'max-queue': text,
        rate: text,
        timeout: text,
      },
    });
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause));
  }
}

function number(option: string, text: string, low: number, isWhole: boolean): number {
  const value = Number(text);
  if (text !== '' && Number.isFinite(value) && value >= low && (!isWhole || Number.isInteger(value))) return value;
  throw invalid(`${option} ${text} is no ${isWhole ? 'whole ' : ''}number from ${low}`);
}

function invalid(detail: string): ShowtellError {
  return new ShowtellError('usage/invalid', { detail, command: 'serve' });
}
