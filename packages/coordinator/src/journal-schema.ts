import { phaseNames } from '@showtell/shared/job/phases.js';
import { z } from 'zod';
import type { JournalEntry } from './journal.js';
import { runCommands } from './run-commands.js';

const count = z.int().min(0);
const phase = z.enum(phaseNames);
const at = { step: count, lineage: count };
/** Null is what JSON makes of numbers that are not finite. */
const score = z.number().nullable();

const scores = z.object({
  lossPerWord: score,
  words: count,
  perplexity: score,
  captions: z
    .object({
      images: count,
      bleu: z.array(score).length(4),
      rougeL: score,
      cider: score,
      novelty: score,
      colorAccuracy: score,
    })
    .nullable(),
});

const entrySchemas = {
  generation: z.object({ generation: count, fromStep: count.nullable() }),
  canary: z.object({ graph: z.string(), sha256: z.string() }),
  evaluation: z.object({ ...at, phase, scores }),
  switch: z.object({ ...at, reason: z.string() }),
  'switch-order': z.object(at),
  'switch-refused': z.object({ ...at, reason: z.string() }),
  rollback: z.object({ atStep: count, toStep: count, lineage: count, reason: z.string() }),
  skipped: z.object({ step: count, unit: count, records: z.array(z.string()) }),
  command: z.object({ command: z.enum(runCommands), step: count }),
  finished: z.object({
    step: count,
    phase,
    outcome: z.enum(['complete', 'guard-unmet', 'rolled-back']),
    reason: z.string(),
  }),
} satisfies Record<JournalEntry['type'], z.ZodType>;

const headSchema = z.object({
  crc: count,
  at: z.string(),
  entry: z.looseObject({ type: z.enum(Object.keys(entrySchemas) as JournalEntry['type'][]) }),
});

/**
 * Whether a value is a line of a journal. A checksum tells of accidents: who means harm makes it right, and what is no
 * entry would be looked into long after it was read.
 */
export function isJournalLine(value: unknown): boolean {
  const head = headSchema.safeParse(value);
  return head.success && entrySchemas[head.data.entry.type].safeParse(head.data.entry).success;
}
