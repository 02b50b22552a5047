import helmet from '@fastify/helmet';
import { parse as parseCookies } from 'cookie';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { RunCommands } from '../run-commands.js';
import type { RunFolder } from '../run-folder.js';
import { type AccessRules, type Asker, isSameOrigin, isSameSecret, judge, markHeader, sessionOf } from './access.js';
import { type Asset, openAssets } from './assets.js';
import { LiveRun } from './live-run.js';
import type { RunNow } from './page/payload.js';
import { RunFiles } from './run-files.js';
import { addRunRoutes } from './run-routes.js';

/** A run as the page shows it. */
export interface ShownRun {
  /** In addresses. */
  readonly id: string;
  readonly folder: RunFolder;
  readonly now: () => Promise<RunNow>;
  /** Null where it can only be looked at. */
  readonly commands: RunCommands | null;
}

export interface DashboardOptions {
  readonly runs: readonly ShownRun[];
  readonly access: AccessRules;
}

/** The page and its API; whoever listens hands requests on to {@link routing}. */
export interface Dashboard extends AsyncDisposable {
  readonly routing: FastifyInstance['routing'];
}

/** The only sources are the page's own files: no script, style or frame of anybody else, and no inline script. */
const contentSecurityPolicy = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'"],
    connectSrc: ["'self'"],
    formAction: ["'self'"],
    baseUri: ["'none'"],
    frameAncestors: ["'none'"],
  },
};

export async function openDashboard({ runs, access }: DashboardOptions): Promise<Dashboard> {
  const app = fastify({ bodyLimit: 4_096, forceCloseConnections: false });
  const assets = openAssets();
  const shown = runs.map((run) => ({ ...run, live: new LiveRun(new RunFiles(run.folder), run.now) }));
  await app.register(helmet, {
    contentSecurityPolicy,
    // Without one a form's origin would be "null".
    referrerPolicy: { policy: 'same-origin' },
    // It is served over plain HTTP; who puts TLS before it says so there.
    strictTransportSecurity: false,
  });
  app.addHook('onRequest', async (request, reply) => guard(access, assets, request, reply));
  app.setErrorHandler((error, _request, reply) => void answerError(error, reply));
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'there is nothing by that address' }));
  for (const [path, asset] of assets) app.get(path, (request, reply) => sendAsset(asset, request, reply));
  addLogin(app, access);
  addRunRoutes(app, shown);
  await app.ready();
  return {
    routing: app.routing.bind(app),
    async [Symbol.asyncDispose]() {
      await Promise.all(shown.map(({ live }) => live.close()));
      await app.close();
    },
  };
}

/** Styles of the form for the token must be there for those who have not shown it yet. */
const openPaths = new Set(['/login', '/login/again', '/page/style.css', '/page/icon.svg']);

async function guard(
  access: AccessRules,
  assets: ReadonlyMap<string, Asset>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  if (access.token !== null && openPaths.has(request.url.split('?')[0] ?? '')) return;
  const judgement = judge(access, askerOf(request));
  if (judgement.granted) return;
  const { status, reason } = judgement;
  const login = assets.get('/login');
  if (status === 401 && request.method === 'GET' && request.url === '/' && login !== undefined)
    await reply.code(401).type(login.type).send(login.body);
  else {
    if (status === 401) reply.header('www-authenticate', 'Bearer');
    await reply.code(status).send({ error: reason });
  }
}

function askerOf({ method, headers }: FastifyRequest): Asker {
  const mark = headers[markHeader];
  const fetchSite = headers['sec-fetch-site'];
  return {
    method,
    host: headers.host,
    origin: headers.origin,
    fetchSite: typeof fetchSite === 'string' ? fetchSite : undefined,
    mark: typeof mark === 'string' ? mark : undefined,
    authorization: headers.authorization,
    session: parseCookies(headers.cookie ?? '')[cookieName(headers.host)],
  };
}

/** Browsers send cookies to every port of a host: each run has its own. */
function cookieName(host = ''): string {
  return `showtell-${/:(?<port>\d+)$/u.exec(host)?.groups?.['port'] ?? 'page'}`;
}

/** The form that takes the token and leaves the browser a cookie which no script can read and no other site can use. */
function addLogin(app: FastifyInstance, { token }: AccessRules): void {
  const form = 'application/x-www-form-urlencoded';
  app.addContentTypeParser(form, { parseAs: 'string' }, (_request, body, done) =>
    done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );
  app.post<{ Body: unknown }>('/login', async (request, reply) => {
    const { host, origin } = request.headers;
    if (!isSameOrigin(host, origin)) return reply.code(403).send({ error: 'another site may not' });
    if (token === null || !isSameSecret(tokenIn(request.body), token))
      return reply.code(303).header('location', '/login/again').send();
    const cookie = `${cookieName(host)}=${sessionOf(token)}; Path=/; HttpOnly; SameSite=Strict`;
    return reply.code(303).header('set-cookie', cookie).header('location', '/').send();
  });
}

/** The body may be anything that JSON can say. */
function tokenIn(body: unknown): string {
  const { token } = (typeof body === 'object' && body !== null ? body : {}) as { token?: unknown };
  return typeof token === 'string' ? token : '';
}

function sendAsset({ type, body, etag }: Asset, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.header('etag', etag).header('cache-control', 'no-cache');
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  return reply.type(type).send(body);
}

async function answerError(error: unknown, reply: FastifyReply): Promise<void> {
  if (error instanceof ShowtellError) {
    const status = error.code === 'run/missing' ? 404 : error.code === 'run/cannot-switch' ? 409 : 500;
    await reply.code(status).send({ error: error.message, remedy: error.remedy });
    return;
  }
  const { statusCode = 500, message } = error as { statusCode?: number; message: string };
  await reply.code(statusCode).send({ error: statusCode < 500 ? message : 'the coordinator could not answer that' });
}
