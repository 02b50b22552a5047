import { ShowtellError } from '@showtell/shared/errors.js';

/** Why a request is not answered with captions; `docs/serve.md` and the OpenAPI document list them. */
export const problems = {
  'request/invalid': 400,
  'request/not-found': 404,
  'request/method': 405,
  'request/slow': 408,
  'request/too-large': 413,
  'request/type': 415,
  'request/rate': 429,
  'request/queue-full': 429,
  'service/failed': 500,
  'service/loading': 503,
  'service/stopping': 503,
  'service/timeout': 503,
} as const;
export type ProblemCode = keyof typeof problems;

/** Statuses of pictures that cannot be captioned, by their code in the table of errors. */
export const pictureProblems = {
  'picture/too-large': 413,
  'picture/unknown-format': 415,
  'input/picture-undecodable': 422,
} as const;

/** A request's failure on purpose. */
export class Problem extends Error {
  readonly status: number;

  constructor(
    readonly code: string,
    message: string,
    readonly options: {
      readonly status?: number;
      readonly remedy?: string;
      /** After how many seconds it may be tried again. */
      readonly retryAfter?: number;
      readonly allow?: string;
    } = {},
  ) {
    super(message);
    this.name = 'Problem';
    this.status = options.status ?? problems[code as ProblemCode];
  }
}

/** What a request is answered with after `error`; what is no picture's or request's fault is not told to strangers. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const known = error instanceof ShowtellError ? (error as ShowtellError) : null;
  if (known !== null && Object.hasOwn(pictureProblems, known.code)) {
    const status = pictureProblems[known.code as keyof typeof pictureProblems];
    return new Problem(known.code, known.message, { status, remedy: known.remedy });
  }
  return new Problem('service/failed', 'The caption could not be computed; the log of the service says why.');
}

export function problemBody({ code, message, options: { remedy } }: Problem): object {
  return { error: { code, message, ...(remedy === undefined ? {} : { remedy }) } };
}
