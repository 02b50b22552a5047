import { version } from '@showtell/shared/version.js';
import { pictureProblems, problems } from './problem.js';

/** What the document depends on besides the code. */
export interface Described {
  readonly defaultBeam: number;
  readonly mostBeam: number;
  readonly maxBytes: number;
  readonly maxMegapixels: number;
}

/** The service's OpenAPI 3.1 document, as `/openapi.json` gives it. */
export function openApiDocument({ defaultBeam, mostBeam, maxBytes, maxMegapixels }: Described): object {
  const beam = { type: 'integer', minimum: 1, maximum: mostBeam, default: defaultBeam };
  const upright = { type: 'boolean', default: false };
  const about = {
    beam: 'Beam width; at most so many captions come out.',
    upright: 'Whether a JPEG is turned upright by its EXIF tag; training looked at pixels as they are stored.',
  };
  const picture = { schema: {} };
  const text = { content: { 'text/plain': { schema: { type: 'string' } } } };
  return {
    openapi: '3.1.0',
    info: {
      title: 'showtell',
      version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description: `Captions of pictures. A body has at most ${maxBytes} bytes, a picture ${maxMegapixels} megapixels.`,
    },
    servers: [{ url: '/' }],
    paths: {
      '/caption': {
        post: {
          operationId: 'caption',
          summary: 'Captions one picture',
          parameters: [
            { name: 'beam', in: 'query', description: about.beam, schema: beam },
            { name: 'upright', in: 'query', description: about.upright, schema: upright },
          ],
          requestBody: {
            required: true,
            description: 'The picture itself, JPEG, PNG, GIF (first frame), BMP or WebP; or JSON with it in base64.',
            content: {
              'image/*': picture,
              'application/octet-stream': picture,
              'application/json': {
                schema: {
                  type: 'object',
                  required: ['image'],
                  additionalProperties: false,
                  properties: {
                    image: { type: 'string', contentEncoding: 'base64' },
                    beam: { ...beam, description: about.beam },
                    upright: { ...upright, description: about.upright },
                  },
                },
              },
            },
          },
          responses: {
            200: {
              description: 'Its captions, best first',
              content: { 'application/json': { schema: { $ref: '#/components/schemas/Captions' } } },
            },
            ...failures(),
          },
        },
      },
      '/openapi.json': {
        get: {
          operationId: 'openapi',
          summary: 'This document',
          responses: {
            200: { description: 'OpenAPI 3.1', content: { 'application/json': { schema: { type: 'object' } } } },
          },
        },
      },
      '/metrics': {
        get: {
          operationId: 'metrics',
          summary: 'What Prometheus reads',
          responses: { 200: { description: 'Series', ...text } },
        },
      },
      '/healthz': {
        get: {
          operationId: 'healthz',
          summary: 'Whether the service lives',
          responses: {
            200: { description: 'It does', ...text },
            503: { description: 'The engine has failed', ...text },
          },
        },
      },
      '/readyz': {
        get: {
          operationId: 'readyz',
          summary: 'Whether it takes requests',
          responses: {
            200: { description: 'It does', ...text },
            503: { description: 'It loads, or it stops', ...text },
          },
        },
      },
    },
    components: {
      schemas: {
        Captions: {
          type: 'object',
          required: ['captions'],
          properties: {
            captions: {
              type: 'array',
              items: {
                type: 'object',
                required: ['caption', 'logprob', 'probability'],
                properties: {
                  caption: { type: 'string', description: 'Words, a space between each' },
                  logprob: {
                    type: 'number',
                    description: "Natural logarithm of the words' probability, the end's included",
                  },
                  probability: { type: 'number', minimum: 0, maximum: 1 },
                },
              },
            },
          },
        },
        Failure: {
          type: 'object',
          required: ['error'],
          properties: {
            error: {
              type: 'object',
              required: ['code', 'message'],
              properties: {
                code: { type: 'string', enum: [...Object.keys(problems), ...Object.keys(pictureProblems)] },
                message: { type: 'string' },
                remedy: { type: 'string', description: 'What to do about it' },
              },
            },
          },
        },
      },
    },
  };
}

/** A response for each status that a request can fail with, its codes in the description. */
function failures(): Record<string, object> {
  const byStatus = new Map<number, string[]>();
  for (const [code, status] of Object.entries({ ...problems, ...pictureProblems }))
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  const schema = { $ref: '#/components/schemas/Failure' };
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      String(status),
      {
        description: codes.join(', '),
        content: { 'application/json': { schema } },
        ...(status === 429 || status === 503
          ? { headers: { 'Retry-After': { description: 'Seconds', schema: { type: 'integer' } } } }
          : {}),
      },
    ]),
  );
}
