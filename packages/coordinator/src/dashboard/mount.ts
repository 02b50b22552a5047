import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ShowtellError } from '@showtell/shared/errors.js';
import { isLoopbackName, shortestToken } from './access.js';
import type { Dashboard, ShownRun } from './server.js';

export interface MountOptions {
  readonly runs: readonly ShownRun[];
  /** The address that is listened on. */
  readonly host: string;
  /** See {@link pageToken}. */
  readonly token: string | null;
}

/**
 * The page on a server that listens anyhow, for its `handle`. What it is made of is loaded when somebody asks for it
 * first: a run that nobody looks at pays nothing.
 *
 * Beyond loopback runs are steered only by those who have the token.
 */
export class MountedDashboard implements AsyncDisposable {
  #opened: Promise<Dashboard> | null = null;
  #isOver = false;

  constructor(private readonly options: MountOptions) {}

  /** Takes every request; once it is over, to say so: who asks again finds the next coordinator, or nobody. */
  readonly handle = (request: IncomingMessage, response: ServerResponse): boolean => {
    if (this.#isOver) {
      response.writeHead(503, { 'content-type': 'application/json; charset=utf-8', 'retry-after': '1' });
      response.end(JSON.stringify({ error: 'the coordinator is ending' }));
      return true;
    }
    this.#opened ??= this.#open();
    this.#opened
      .then(({ routing }) => routing(request, response))
      .catch((error: unknown) => {
        response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' });
        response.end(`the page could not be opened: ${String(error)}\n`);
      });
    return true;
  };

  async #open(): Promise<Dashboard> {
    const { openDashboard } = await import('./server.js');
    const { runs, host, token } = this.options;
    return openDashboard({ runs, access: { isLoopback: isLoopbackName(host), token } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    const opened = await this.#opened?.catch(() => null);
    await opened?.[Symbol.asyncDispose]();
  }
}

/** The environment variables that have the token of the page and its API, or name a file that has it. */
const tokenVariable = 'SHOWTELL_TOKEN';
const tokenFileVariable = 'SHOWTELL_TOKEN_FILE';

/**
 * The token that a file or the environment names; null: none. An option would show it to everybody who lists processes.
 *
 * @throws ShowtellError `service/short-token`, `file/missing`
 */
export function pageToken(file = process.env[tokenFileVariable] ?? ''): string | null {
  const token = (file === '' ? (process.env[tokenVariable] ?? '') : readToken(file)).trim();
  if (token === '' && file === '') return null;
  if (token.length < shortestToken)
    throw new ShowtellError('service/short-token', { length: token.length, least: shortestToken });
  return token;
}

function readToken(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ShowtellError('file/missing', { file, what: "the page's token" }, { cause });
  }
}
