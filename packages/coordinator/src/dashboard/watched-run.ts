import type { FastifyReply } from 'fastify';
import type { LiveRun } from './live-run.js';
import type { ShownRun } from './server.js';

/** A run with those who watch it. */
export interface WatchedRun extends ShownRun {
  readonly live: LiveRun;
}

/** What is asked for is not there, or not to be had. */
export function notFound(reply: FastifyReply): FastifyReply {
  return reply.code(404).send({ error: 'there is nothing by that address' });
}

/** A step in an address; null for what is none. */
export function stepOf(text: string): number | null {
  return /^\d{1,15}$/u.test(text) ? Number(text) : null;
}
