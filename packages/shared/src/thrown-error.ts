import { ShowtellError, type ErrorCode, type ErrorFacts } from './errors.js';

/** An error as it crosses threads: those of the table by code and facts, the rest by their text. */
export interface ThrownError {
  readonly code?: string | undefined;
  readonly facts?: unknown;
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
}

export function thrown(error: unknown): ThrownError {
  if (error instanceof ShowtellError) {
    const { code, facts, name, message } = error as ShowtellError & { readonly code: string };
    return { code, facts, name, message };
  }
  if (error instanceof Error) {
    const { name, message, stack } = error;
    return stack === undefined ? { name, message } : { name, message, stack };
  }
  return { name: 'Error', message: String(error) };
}

export function revive({ code, facts, name, message, stack }: ThrownError): Error {
  if (code !== undefined) return new ShowtellError(code as ErrorCode, facts as ErrorFacts<ErrorCode>);
  const error = new Error(message);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
