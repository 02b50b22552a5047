import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { pino } from 'pino';

/** From the least to the most important; a logger writes its own level and all after it. */
const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** The environment variable that sets the level of every role: `debug`, `info` (the default), `warn`, `error` or `silent`. */
const logLevelVariable = 'SHOWTELL_LOG';

/** What a line is about. Anything JSON can hold; an `error` is written with its code, remedy, causes and stack. */
export interface LogFields {
  readonly run?: string;
  readonly role?: string;
  readonly worker?: string;
  readonly step?: number;
  /** Its position within the step or evaluation. */
  readonly unit?: number;
  readonly error?: unknown;
  readonly [field: string]: unknown;
}

/** Writes one JSON object a line, by pino: `level`, `time` (ISO 8601, UTC), the fields, `message`. */
export interface Logger extends Disposable {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger whose lines carry `fields` too. It writes to the same place; only the first one is to be closed. */
  child(fields: LogFields): Logger;
  /** Closes the file. Lines after that go to stderr. */
  close(): void;
}

export interface LogOptions {
  /** On every line. */
  readonly fields: LogFields;
  /** A file to append to, its folder made if absent; stderr without one. */
  readonly file?: string;
  /** Default: from `SHOWTELL_LOG`, else `info`. */
  readonly level?: LogLevel | 'silent';
}

/**
 * Opens a log. Lines are written at once, so that a process killed in the next instant has said them; when the file
 * takes no more (disk full), the log goes on to stderr rather than end the run.
 */
export function openLog({ fields, file, level = levelFromEnvironment() }: LogOptions): Logger {
  const sink = file === undefined ? stderrSink() : fileSink(file);
  return loggerTo(sink, pino({ ...format, level }, sink), fields);
}

const format = {
  // Neither pid nor host on each line: the first line of a process says them.
  base: null,
  messageKey: 'message',
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: {
    level: (level: string) => ({ level }),
    log: (fields: Record<string, unknown>) => plainFields(fields, 0),
  },
};

/** Where pino writes to: at once, so that no line waits in a buffer when a process is killed. */
interface Sink {
  write(line: string): void;
  close(): void;
}

function stderrSink(): Sink {
  return { write: (line) => void process.stderr.write(line), close: () => undefined };
}

function fileSink(file: string): Sink {
  mkdirSync(dirname(file), { recursive: true });
  let descriptor: number | null = openSync(file, 'a');
  const fallback = stderrSink();
  return {
    write(line) {
      if (descriptor === null) {
        fallback.write(line);
        return;
      }
      try {
        writeSync(descriptor, line);
      } catch (error) {
        const failed = descriptor;
        descriptor = null;
        const notice = pino(format, fallback);
        notice.warn({ error }, `log file ${file} takes no more lines; they go to stderr`);
        fallback.write(line);
        closeSync(failed);
      }
    },
    close() {
      if (descriptor !== null) closeSync(descriptor);
      descriptor = null;
    },
  };
}

function loggerTo(sink: Sink, to: pino.Logger, own: LogFields): Logger {
  // Not pino's own children: a field of the line that is also the child's would stand there twice.
  return {
    debug: (message, fields) => to.debug({ ...own, ...fields }, message),
    info: (message, fields) => to.info({ ...own, ...fields }, message),
    warn: (message, fields) => to.warn({ ...own, ...fields }, message),
    error: (message, fields) => to.error({ ...own, ...fields }, message),
    child: (fields) => loggerTo(sink, to, { ...own, ...fields }),
    close: () => sink.close(),
    [Symbol.dispose]: () => sink.close(),
  };
}

function levelFromEnvironment(): LogLevel | 'silent' {
  const asked = process.env[logLevelVariable]?.toLowerCase();
  return [...logLevels, 'silent' as const].find((level) => level === asked) ?? 'info';
}

/** How deep fields are looked into; beyond, and in a circle, pino says what it finds. */
const deepest = 6;

/** What JSON cannot say by itself: errors, big integers, sets and maps, infinities and NaN. */
function plain(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value !== 'object' || value === null || depth > deepest) return value;
  if (value instanceof Error) return plainFields(describeError(value), depth);
  if (value instanceof Set) return plain([...(value as Set<unknown>)], depth);
  if (value instanceof Map) return plainFields(Object.fromEntries(value as Map<string, unknown>), depth);
  if (Array.isArray(value)) return value.map((each) => plain(each, depth + 1));
  return 'toJSON' in value ? value : plainFields(value as Record<string, unknown>, depth);
}

function plainFields(fields: Readonly<Record<string, unknown>>, depth: number): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plain(value, depth + 1)]));
}

function describeError(error: Error): Record<string, unknown> {
  const { code, remedy } = error as { code?: unknown; remedy?: unknown };
  return {
    name: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(remedy === undefined ? {} : { remedy }),
    ...(error.cause === undefined ? {} : { cause: error.cause }),
    stack: error.stack,
  };
}
