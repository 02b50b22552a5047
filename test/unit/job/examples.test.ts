import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadJob } from '@showtell/shared/job/load-job.js';

const folder = 'examples/jobs';
const files = readdirSync(folder).map((name) => `${folder}/${name}`);

describe('example jobs', () => {
  it('are there', () => {
    expect(files.length).toBeGreaterThan(2);
  });

  it.each(files)('%s is a job', async (file) => {
    const job = await loadJob(file);
    expect(file).toContain(job.name);
  });

  it.each(files)('%s opens with command, machine, time and score', (file) => {
    const head = readFileSync(file, 'utf8').split(/^[a-z]/m)[0] ?? '';
    for (const name of ['Command', 'Machine', 'Time', 'Score']) expect(head).toMatch(new RegExp(`^# ${name}:  `, 'm'));
    expect(head).toContain(file);
  });
});
