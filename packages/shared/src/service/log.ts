import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** From the least to the most important; a logger writes its own level and all after it. */
const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** The environment variable that sets the level of every role: `debug`, `info` (the default), `warn`, `error` or `silent`. */
const logLevelVariable = 'SHOWTELL_LOG';

/** What a line is about. Anything JSON can hold; an `error` is written with its code, remedy, causes and stack. */
export interface LogFields {
  readonly run?: string;
  readonly role?: string;
  readonly step?: number;
  readonly unit?: string;
  readonly error?: unknown;
  readonly [field: string]: unknown;
}

/** Writes one JSON object a line: `time` (ISO 8601, UTC), `level`, `message`, then the fields. */
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
  return loggerTo(sink, fields, level === 'silent' ? logLevels.length : logLevels.indexOf(level));
}

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
        fallback.write(formatLine('warn', `log file ${file} takes no more lines; they go to stderr`, { error }));
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

function loggerTo(sink: Sink, own: LogFields, least: number): Logger {
  const write = (level: LogLevel, message: string, fields: LogFields = {}): void => {
    if (logLevels.indexOf(level) >= least) sink.write(formatLine(level, message, { ...own, ...fields }));
  };
  return {
    debug: (message, fields) => write('debug', message, fields),
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
    child: (fields) => loggerTo(sink, { ...own, ...fields }, least),
    close: () => sink.close(),
    [Symbol.dispose]: () => sink.close(),
  };
}

function levelFromEnvironment(): LogLevel | 'silent' {
  const asked = process.env[logLevelVariable]?.toLowerCase();
  return [...logLevels, 'silent' as const].find((level) => level === asked) ?? 'info';
}

function formatLine(level: LogLevel, message: string, fields: LogFields): string {
  const head = { time: new Date().toISOString(), level, message };
  try {
    return JSON.stringify({ ...head, ...fields }, plain) + '\n';
  } catch (error) {
    // A cycle in the fields: the message matters more than they do.
    return JSON.stringify({ ...head, fieldsLost: String(error) }) + '\n';
  }
}

/** What JSON cannot say by itself: errors, big integers, sets and maps, infinities and NaN. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof Error) return describeError(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (value instanceof Set) return [...(value as Set<unknown>)];
  if (value instanceof Map) return Object.fromEntries(value as Map<string, unknown>);
  return value;
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
