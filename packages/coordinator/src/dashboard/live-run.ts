import type { IncomingMessage, ServerResponse } from 'node:http';
import { createSession, type Session } from 'better-sse';
import type { NewSteps, RunNow } from './page/payload.js';
import type { RunFiles } from './run-files.js';

/** How often a run is looked at while somebody watches it. */
const lookMs = 500;
/** More steps than these at once are fetched as a whole, thinned. */
const mostRows = 2_000;
/** A browser that takes nothing while so many bytes wait for it is gone, or asleep: it comes again by itself. */
const mostWaitingBytes = 4 * 1_048_576;

interface Watcher {
  readonly session: Session;
  readonly response: ServerResponse;
  revision: number;
  last: number;
  /** As it was told last, to tell only what is new. */
  now: string;
  summary: unknown;
}

/** A run and the browsers that watch it by server-sent events; without any nothing is done. */
export class LiveRun {
  readonly #watchers = new Set<Watcher>();
  /** Browsers whose session is being made. */
  #arriving = 0;
  #isClosed = false;
  #timer: NodeJS.Timeout | null = null;
  /** The look at hand. */
  #looking: Promise<void> | null = null;

  constructor(
    readonly files: RunFiles,
    readonly now: () => Promise<RunNow>,
  ) {}

  get watchers(): number {
    return this.#watchers.size + this.#arriving;
  }

  /** @param known what the browser has: the revision and the last step of what it fetched */
  async watch(
    request: IncomingMessage,
    response: ServerResponse,
    known: { readonly revision: number; readonly last: number },
  ): Promise<void> {
    this.#arriving++;
    const session = await createSession(request, response, { retry: 1_000 }).finally(() => this.#arriving--);
    if (this.#isClosed) response.end();
    // Of one that has closed by now the session does not hear.
    if (this.#isClosed || !session.isConnected || request.destroyed || response.closed) return;
    const watcher: Watcher = { session, response, ...known, now: '', summary: null };
    this.#watchers.add(watcher);
    session.on('disconnected', () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.#rest();
    });
    this.#timer ??= setInterval(() => void this.#look(), lookMs);
    await this.#look();
  }

  /** Tells every browser what is new since the last look, and says goodbye. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#rest();
    if (this.#watchers.size > 0) {
      await this.#looking;
      await this.#look();
    }
    for (const { session, response } of this.#watchers) {
      if (session.isConnected) session.push(null, 'bye');
      response.end();
    }
    this.#watchers.clear();
  }

  #rest(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #look(): Promise<void> {
    this.#looking ??= this.#lookAndTell().finally(() => (this.#looking = null));
    return this.#looking;
  }

  async #lookAndTell(): Promise<void> {
    try {
      await this.files.refresh();
      const now = await this.now();
      for (const watcher of this.#watchers) this.#tell(watcher, now);
    } catch {
      // The folder is being made, or has gone: the next look says.
    }
  }

  #tell(watcher: Watcher, now: RunNow): void {
    const { session, response } = watcher;
    if (!session.isConnected) return;
    if (response.writableLength > mostWaitingBytes) {
      response.destroy();
      return;
    }
    const { history, summary } = this.files;
    const isOther = history.revision !== watcher.revision;
    const rows = isOther ? [] : history.rowsAfter(watcher.last);
    watcher.revision = history.revision;
    watcher.last = history.last;
    if (isOther || rows.length > mostRows) session.push(null, 'reload');
    else if (rows.length > 0) session.push({ revision: history.revision, rows } satisfies NewSteps, 'steps');
    if (watcher.summary !== summary) session.push(summary, 'summary');
    watcher.summary = summary;
    const text = JSON.stringify(now);
    if (text !== watcher.now) session.push(now, 'now');
    watcher.now = text;
  }
}
