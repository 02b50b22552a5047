import { createHash } from 'node:crypto';
import { z } from 'zod';
import { isOperational, jobSchema, type Job } from './job.js';

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodNullable)
    return unwrap(schema.unwrap());
  return schema;
}

/** Paths that may grow on resume without becoming another run: the phases' lengths. */
const growing = ['phases.decoderOnly.steps', 'phases.joint.steps'];

/**
 * Fields outside the digest besides the operational ones: lengths, which may grow; and the weights' path, for which the
 * file's own hash stands.
 */
const outside = [...growing, 'model.encoder.weights', 'model.encoder.allowRandomWeights'];

/** Fields that came later, with the value at which they change nothing: then they are left out, so that older runs go on. */
const later = new Map<string, unknown>([
  ['asynchronous', null],
  ['model.encoder.minDepth', 16],
  ['optimizer.initialAccumulator', 0.1],
]);

function numericFields(schema: z.core.$ZodType, value: unknown, path: string, into: Map<string, unknown>): void {
  if (isOperational(schema) || outside.includes(path)) return;
  const inner = unwrap(schema);
  if (isOperational(inner)) return;
  if (inner instanceof z.ZodObject && value !== null) {
    const fields = value as Record<string, unknown>;
    for (const key of Object.keys(inner.shape).sort())
      numericFields(inner.shape[key] as z.core.$ZodType, fields[key], path === '' ? key : `${path}.${key}`, into);
  } else {
    into.set(path, value ?? null);
  }
}

/** The fields that decide a run's bits, by path, in path order. */
export function numericFieldsOf(job: Job): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  numericFields(jobSchema, job, '', fields);
  return fields;
}

/**
 * SHA-256 of a job's numeric fields: two runs of one digest on one data set give the same parameters.
 *
 * @param encoderWeights SHA-256 of the file the encoder starts from; null for random values.
 */
export function jobDigest(job: Job, encoderWeights: string | null): string {
  const fields = [...numericFieldsOf(job)].filter(([path, value]) => !later.has(path) || later.get(path) !== value);
  const text = JSON.stringify([...fields, ['encoderWeights', encoderWeights]]);
  return createHash('sha256').update(text).digest('hex');
}

/** Paths at which two jobs differ in what decides their bits, as `path: a → b`. */
export function numericDifferences(before: Job, after: Job): string[] {
  const [old, now] = [numericFieldsOf(before), numericFieldsOf(after)];
  // A group that is null in one job has its fields in the other; the field tells more than the group.
  const text = (fields: Map<string, unknown>, path: string): string => JSON.stringify(fields.get(path) ?? null);
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter((path) => text(old, path) !== text(now, path))
    .map((path) => `${path}: ${text(old, path)} → ${text(now, path)}`);
}
