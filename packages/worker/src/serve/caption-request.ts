import type { IncomingMessage } from 'node:http';
import { quoted } from '@showtell/shared/quoted.js';
import { Problem } from './problem.js';

/** A request for captions, read. */
export interface CaptionRequest {
  readonly image: Uint8Array;
  readonly beam: number;
  readonly upright: boolean;
}

export interface RequestRules {
  readonly maxBytes: number;
  readonly defaultBeam: number;
  readonly mostBeam: number;
}

/** Content types of a body that is the picture itself; which format it is, its first bytes say. */
const rawTypes = /^(image\/[a-z0-9.+-]+|application\/octet-stream)$/;

/**
 * Reads `POST /caption`: a picture as the body, with `?beam=` and `?upright=`; or a JSON object with the picture in
 * base64 and the same two.
 * @throws Problem `request/invalid`, `request/too-large`, `request/type`
 */
export async function readCaptionRequest(request: IncomingMessage, rules: RequestRules): Promise<CaptionRequest> {
  const query = queryOf(request);
  const type =
    (request.headers['content-type'] ?? 'application/octet-stream').split(';')[0]?.trim().toLowerCase() ?? '';
  const isJson = type === 'application/json';
  if (!isJson && !rawTypes.test(type))
    throw new Problem('request/type', `A body of type ${type} is not taken.`, {
      remedy: 'Send the picture itself as image/jpeg, image/png, …, or application/json with it in base64.',
    });
  const body = await readBody(request, rules.maxBytes);
  if (body.length === 0) throw invalid('The body is empty.', 'Send the picture as the body.');
  if (!isJson) return { image: body, ...settings(query, rules) };
  const { image, ...rest } = fieldsOf(body);
  if (typeof image !== 'string') throw invalid('The object has no "image" of base64.', jsonForm);
  return { image: fromBase64(image), ...settings({ ...query, ...rest }, rules) };
}

const jsonForm = 'Send {"image": "…base64…", "beam": 3, "upright": false}; beam and upright may be left out.';

function invalid(message: string, remedy: string): Problem {
  return new Problem('request/invalid', message, { remedy });
}

function queryOf(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(new URL(request.url ?? '/', 'http://service').searchParams);
}

function settings(given: Readonly<Record<string, unknown>>, rules: RequestRules): Omit<CaptionRequest, 'image'> {
  const { beam = rules.defaultBeam, upright = false, ...unknown } = given;
  const [other] = Object.keys(unknown);
  if (other !== undefined) throw invalid(`There is no setting ${quoted(other)}.`, 'There are beam and upright.');
  const width = typeof beam === 'object' ? NaN : Number(beam);
  if (!Number.isInteger(width) || width < 1 || width > rules.mostBeam || beam === '')
    throw invalid(`The beam ${quoted(beam)} is no whole number from 1 to ${rules.mostBeam}.`, jsonForm);
  if (![true, false, 'true', 'false'].includes(upright as string | boolean))
    throw invalid(`upright is ${quoted(upright)}, neither true nor false.`, jsonForm);
  return { beam: width, upright: String(upright) === 'true' };
}

function fieldsOf(body: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw invalid('The body is no JSON.', jsonForm);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('The body is no JSON object.', jsonForm);
  return value as Record<string, unknown>;
}

function fromBase64(text: string): Buffer {
  if (text.length === 0 || !/^[A-Za-z0-9+/\s]*(?:=\s*){0,2}$/.test(text))
    throw invalid('"image" is no base64.', 'Encode the picture’s bytes in base64, without a "data:" in front.');
  return Buffer.from(text, 'base64');
}

async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLarge = (): Problem =>
    new Problem('request/too-large', `The body is larger than ${maxBytes} bytes.`, {
      remedy: 'Send a smaller picture; whoever runs the service may raise --max-megabytes.',
    });
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > maxBytes) throw tooLarge();
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
