import { parseArgs } from 'node:util';
import { ShowtellError } from '@showtell/shared/errors.js';
import { type EngineAsked, parseEngine } from './engine-asked.js';

/** What the process behind `showtell caption` is started with; the command's help tells what each is. */
export interface CaptionOptions {
  readonly checkpoint: string;
  readonly beam: number | null;
  readonly vocabulary: string | null;
  readonly json: boolean;
  readonly html: string | null;
  readonly watch: string | null;
  readonly recursive: boolean;
  readonly upright: boolean;
  readonly maxMegapixels: number;
  readonly maxMegabytes: number;
  /** Seconds an address may take. */
  readonly timeout: number;
  /** Of the engine; null: the job's. */
  readonly threads: number | null;
  /** null: the job's. */
  readonly engine: EngineAsked | null;
  readonly inputs: readonly string[];
}

/** @throws ShowtellError `usage/invalid` */
export function parseCaptionOptions(argv: readonly string[]): CaptionOptions {
  const { values, positionals: inputs } = parsed(argv);
  if (values.checkpoint === undefined) throw invalid('--checkpoint is missing');
  if (inputs.length === 0 && values.watch === undefined) throw invalid('no picture was named');
  return {
    checkpoint: values.checkpoint,
    beam: values.beam === undefined ? null : Number(values.beam),
    vocabulary: values.vocabulary ?? null,
    json: values.json === true,
    html: values.html ?? null,
    watch: values.watch ?? null,
    recursive: values.recursive === true,
    upright: values.upright === true,
    maxMegapixels: positive('--max-megapixels', values['max-megapixels'] ?? '50'),
    maxMegabytes: positive('--max-megabytes', values['max-megabytes'] ?? '64'),
    timeout: positive('--timeout', values.timeout ?? '30'),
    threads: values.threads === undefined ? null : whole('--threads', values.threads),
    engine: values.engine === undefined ? null : parseEngine(values.engine, 'caption'),
    inputs,
  };
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        checkpoint: { type: 'string' },
        beam: { type: 'string' },
        vocabulary: { type: 'string' },
        json: { type: 'boolean' },
        html: { type: 'string' },
        watch: { type: 'string' },
        recursive: { type: 'boolean' },
        upright: { type: 'boolean' },
        'max-megapixels': { type: 'string' },
        'max-megabytes': { type: 'string' },
        timeout: { type: 'string' },
        threads: { type: 'string' },
        engine: { type: 'string' },
      },
    });
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause));
  }
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw invalid(`${option} ${text} is no number above 0`);
}

function whole(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw invalid(`${option} ${text} is no whole number above 0`);
}

function invalid(detail: string): ShowtellError {
  return new ShowtellError('usage/invalid', { detail, command: 'caption' });
}
