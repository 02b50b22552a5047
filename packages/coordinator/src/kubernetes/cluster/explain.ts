import { ShowtellError } from '@showtell/shared/errors.js';
import { ApiFailure } from './api-failure.js';

/**
 * The API server's no as an error that tells a person what to do; anything else as it is.
 * @param what was asked for, such as "trainingjob captions/a"
 */
export function asShowtellError(error: unknown, what: string): unknown {
  if (!(error instanceof ApiFailure)) return error;
  const options = { cause: error };
  const { status, message, problems } = error;
  if (error.isUnknownKind) return new ShowtellError('kubernetes/no-definition', {}, options);
  if (status === 401) return new ShowtellError('kubernetes/unauthorized', { detail: message }, options);
  if (status === 403) return new ShowtellError('kubernetes/forbidden', { detail: message }, options);
  if (status === 404) return new ShowtellError('kubernetes/not-found', { what: `${what}: ${message}` }, options);
  if (status === 400 || status === 422)
    return new ShowtellError(
      'job/invalid',
      { source: what, problems: problems.length > 0 ? problems : [message] },
      options,
    );
  return new ShowtellError('kubernetes/failed', { what, status, detail: message }, options);
}
