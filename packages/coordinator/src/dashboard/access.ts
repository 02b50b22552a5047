import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';

/** Who may see the page and use its API. */
export interface AccessRules {
  /** It listens on this machine alone. */
  readonly isLoopback: boolean;
  /** What others must show; null: nobody was given one. */
  readonly token: string | null;
}

/** What a request says of itself, headers as they came. */
export interface Asker {
  readonly method: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly fetchSite: string | undefined;
  /** The page's own mark on what changes something: a form of another site cannot set a header. */
  readonly mark: string | undefined;
  readonly authorization: string | undefined;
  /** The cookie that {@link sessionOf} made. */
  readonly session: string | undefined;
}

export type Judgement =
  { readonly granted: true } | { readonly granted: false; readonly status: 401 | 403 | 421; readonly reason: string };

export const markHeader = 'x-showtell';

/** Shorter ones can be guessed. */
export const shortestToken = 16;

const granted = { granted: true } as const;

/**
 * Judges a request. On loopback without a token the name it was asked by must be this machine's, so that no other
 * site's name, pointed here, reaches it; elsewhere nothing is answered without the token. What changes something must
 * come from the page itself.
 */
export function judge(rules: AccessRules, asker: Asker): Judgement {
  const refuse = (status: 401 | 403 | 421, reason: string): Judgement => ({ granted: false, status, reason });
  if (rules.token === null) {
    if (!rules.isLoopback)
      return refuse(403, 'this address answers only with a token: set SHOWTELL_TOKEN and start again');
    if (!isLoopbackName(hostname(asker.host))) return refuse(421, 'ask by the name localhost or 127.0.0.1');
  } else if (!showsToken(rules.token, asker)) return refuse(401, 'the token is missing or wrong');
  return ['GET', 'HEAD'].includes(asker.method) ? granted : judgeChange(asker);
}

function judgeChange({ host, origin, fetchSite, mark }: Asker): Judgement {
  const isForeign = !isSameOrigin(host, origin) || (fetchSite !== undefined && fetchSite !== 'same-origin');
  if (!isForeign && mark !== undefined) return granted;
  return { granted: false, status: 403, reason: `only the page itself may ask for that (header ${markHeader})` };
}

/** Whether a request comes from a page of the address it is sent to, as far as it says where it comes from. */
export function isSameOrigin(host: string | undefined, origin: string | undefined): boolean {
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}

function showsToken(token: string, { authorization, session }: Asker): boolean {
  const bearer = /^Bearer +(?<token>.+)$/iu.exec(authorization ?? '')?.groups?.['token']?.trim();
  if (bearer !== undefined) return isSameSecret(bearer, token);
  return session !== undefined && isSameSecret(session, sessionOf(token));
}

/** What a browser that has shown the token keeps in its place. */
export function sessionOf(token: string): string {
  return createHmac('sha256', token).update('showtell page').digest('hex');
}

/** Takes as long for any two, whatever they have in common. */
export function isSameSecret(one: string, other: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(one), hash(other));
}

/** A Host header without its port. */
function hostname(host: string | undefined): string {
  return host !== undefined && URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : '';
}

/** Whether an address, or the name that a browser asked by, is this machine's own to itself. */
export function isLoopbackName(name: string): boolean {
  const bare = name.replace(/^\[|\]$/gu, '');
  if (bare === 'localhost' || bare === '::1') return true;
  return isIP(bare) === 4 && bare.startsWith('127.');
}
