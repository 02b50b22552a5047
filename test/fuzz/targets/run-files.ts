import { readFileSync } from 'node:fs';
import { Journal, type JournalEntry, finishOf } from '@showtell/coordinator/journal.js';
import { parseJob, parseYaml } from '@showtell/shared/job/load-job.js';
import { scratchFile } from '../scratch.js';
import { sealJournal } from '../seal.js';
import type { FuzzTarget } from '../target.js';

const job: FuzzTarget = {
  name: 'job',
  what: 'job files: YAML, presets, schema',
  seeds: () => ({
    'scenes-small': readFileSync(new URL('../../../examples/jobs/scenes-small.yaml', import.meta.url)),
    preset: Buffer.from('preset: demo\nname: a\nphases: {joint: {steps: 3}}\n'),
    anchors: Buffer.from('%YAML 1.1\n---\na: &a {b: 1}\nc: {<<: *a}\nd: [*a, !!set {x}]\n'),
  }),
  run: (input) => void parseJob(parseYaml(input.toString(), 'job.yaml'), [], 'job.yaml'),
};

const hash = 'ab'.repeat(32);
const scores = { lossPerWord: 2, words: 9, perplexity: 7.4, captions: null };
const entries: readonly JournalEntry[] = [
  { type: 'generation', generation: 1, fromStep: null },
  { type: 'canary', graph: 'decoder-only B8 T16', sha256: hash },
  { type: 'evaluation', step: 2, lineage: 1, phase: 'decoder-only', scores },
  { type: 'switch-order', step: 2, lineage: 1 },
  { type: 'switch-refused', step: 2, lineage: 1, reason: 'too early' },
  { type: 'switch', step: 3, lineage: 1, reason: 'done' },
  { type: 'rollback', atStep: 9, toStep: 3, lineage: 2, reason: 'the loss grew' },
  { type: 'skipped', step: 4, unit: 1, records: ['record at byte 12 of train shard 0'] },
  { type: 'command', command: 'pause', step: 5 },
  { type: 'finished', step: 9, phase: 'joint', outcome: 'complete', reason: 'all steps are done' },
];
const lines = (some: readonly unknown[]): Buffer =>
  Buffer.from(
    sealJournal(some.map((entry) => `${JSON.stringify({ at: '2026-01-01T08:00:00.000Z', entry })}\n`).join('')),
  );

const journal: FuzzTarget = {
  name: 'journal',
  what: 'journal.jsonl',
  seeds: () => ({
    'every-entry': lines(entries),
    'one-entry': lines(entries.slice(0, 1)),
    torn: lines(entries.slice(0, 2)).subarray(0, -9),
  }),
  run: (input) => {
    for (const text of [input.toString(), sealJournal(input.toString())]) {
      const read = Journal.read(scratchFile('journal.jsonl', Buffer.from(text)));
      // As a coordinator that goes on looks at them.
      finishOf(read);
      for (const entry of read) {
        if ('step' in entry && !Number.isSafeInteger(entry.step)) throw new Error(`a step is ${String(entry.step)}`);
        if ('reason' in entry) entry.reason.trim();
        if (entry.type === 'evaluation') entry.scores.captions?.bleu.join();
        if (entry.type === 'skipped') entry.records.join();
      }
    }
  },
};

export const runFileTargets = [job, journal];
