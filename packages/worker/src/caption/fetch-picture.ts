import { ShowtellError } from '@showtell/shared/errors.js';

export interface FetchOptions {
  readonly maxBytes: number;
  /** For the message: the option that raises it. */
  readonly setting: string;
  readonly timeoutMs: number;
}

const mostRedirects = 5;

/**
 * A picture from an http or https address. Redirects are followed five times and to such addresses only: nobody's server
 * gets to name a file of this machine. The body is read no further than the limit.
 * @throws ShowtellError `picture/url-failed`, `picture/too-many-bytes`
 */
export async function fetchPicture(address: string, options: FetchOptions): Promise<Uint8Array> {
  const signal = AbortSignal.timeout(options.timeoutMs);
  const failed = (detail: string, cause?: unknown): ShowtellError =>
    new ShowtellError('picture/url-failed', { url: address, detail }, { cause });
  try {
    let url = webAddress(address, failed);
    for (let redirects = 0; ; redirects++) {
      const response = await fetch(url, { redirect: 'manual', signal, headers: { accept: 'image/*' } });
      const location = response.headers.get('location');
      if (response.status >= 300 && response.status < 400 && location !== null) {
        await response.body?.cancel();
        if (redirects === mostRedirects) throw failed(`it redirects more than ${mostRedirects} times`);
        url = webAddress(new URL(location, url).href, (detail) => failed(`it redirects to ${location}: ${detail}`));
        continue;
      }
      return await bodyOf(response, address, options, failed);
    }
  } catch (cause) {
    if (cause instanceof ShowtellError) throw cause;
    if (signal.aborted) throw failed(`it took longer than ${options.timeoutMs / 1000} s`, cause);
    throw failed(reasonOf(cause), cause);
  }
}

function webAddress(text: string, failed: (detail: string) => ShowtellError): URL {
  if (!URL.canParse(text)) throw failed('it is no address');
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw failed(`only http and https are fetched, not ${url.protocol.slice(0, -1)}`);
  if (url.username !== '' || url.password !== '') throw failed('a user’s name or password in it is not sent');
  return url;
}

async function bodyOf(
  response: Response,
  where: string,
  { maxBytes, setting }: FetchOptions,
  failed: (detail: string) => ShowtellError,
): Promise<Uint8Array> {
  const refuse = async (error: ShowtellError): Promise<never> => {
    await response.body?.cancel();
    throw error;
  };
  if (!response.ok) return refuse(failed(`it answered ${response.status} ${response.statusText}`.trim()));
  const type = response.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (
    type !== '' &&
    type !== 'application/octet-stream' &&
    type !== 'binary/octet-stream' &&
    !type.startsWith('image/')
  )
    return refuse(failed(`it is ${type}, no picture`));
  const stated = Number(response.headers.get('content-length') ?? Number.NaN);
  const tooMany = (bytes: number | null): ShowtellError =>
    new ShowtellError('picture/too-many-bytes', { where, bytes, maxBytes, setting });
  if (stated > maxBytes) return refuse(tooMany(stated));
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += piece.length;
    if (bytes > maxBytes) throw tooMany(null);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** `fetch` says "fetch failed"; what failed is its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  if (cause?.code === 'ECONNREFUSED') return 'nothing answers there (ECONNREFUSED)';
  if (cause?.code === 'ENOTFOUND') return 'there is no such host (ENOTFOUND)';
  return cause?.code ?? cause?.message ?? error.message;
}
