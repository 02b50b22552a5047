import { onTestFinished } from 'vitest';
import { eventually } from './eventually.js';

export interface ServerEvent {
  readonly name: string;
  readonly data: unknown;
}

/** A server-sent event stream as a browser reads it, ended with the test. */
export class EventStream {
  readonly events: ServerEvent[] = [];
  isOver = false;
  private readonly abort = new AbortController();

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    void this.read(url, headers);
    onTestFinished(() => this.close());
  }

  of<T>(name: string): T[] {
    return this.events.filter((event) => event.name === name).map(({ data }) => data as T);
  }

  /** Resolves once an event of that name, which is wanted, has come. */
  async until<T>(name: string, wanted: (data: T) => boolean = () => true): Promise<T> {
    await eventually(`event ${name}`, () => this.of<T>(name).some(wanted));
    return this.of<T>(name).find(wanted) as T;
  }

  /** Goes away without a word, as a browser that is closed does. */
  close(): void {
    this.abort.abort();
  }

  private async read(url: string, headers: Readonly<Record<string, string>>): Promise<void> {
    try {
      const response = await fetch(url, { headers, signal: this.abort.signal });
      let text = '';
      for await (const piece of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
        const whole = (text + piece).split('\n\n');
        text = whole.pop() ?? '';
        for (const block of whole) this.take(block);
      }
    } catch (error) {
      if (!this.abort.signal.aborted) this.events.push({ name: 'failed', data: String(error) });
    }
    this.isOver = true;
  }

  private take(block: string): void {
    const field = (name: string): string | undefined =>
      block
        .split('\n')
        .find((line) => line.startsWith(`${name}:`))
        ?.slice(name.length + 1)
        .trim();
    const data = field('data');
    if (data !== undefined) this.events.push({ name: field('event') ?? 'message', data: JSON.parse(data) as unknown });
  }
}
