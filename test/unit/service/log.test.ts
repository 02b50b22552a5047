import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ShowtellError } from '@showtell/shared/errors.js';
import { openLog, type LogOptions } from '@showtell/shared/service/log.js';
import { afterAll, describe, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'showtell-log-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

/** Runs `write` with a log to a new file and returns its lines. */
function lines(
  options: Omit<LogOptions, 'file'>,
  write: (log: ReturnType<typeof openLog>) => void,
): Record<string, unknown>[] {
  const file = join(folder, 'deep', `${files++}.log`);
  {
    using log = openLog({ ...options, file });
    write(log);
  }
  const text = readFileSync(file, 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('openLog', () => {
  it('writes a JSON object a line that carries the fields of all its parents', () => {
    const [first, second] = lines({ fields: { run: 'r1', role: 'worker' } }, (log) => {
      log.info('joined', { workers: 2 });
      log.child({ step: 7 }).child({ unit: 1 }).warn('late\nby a line');
    });
    expect(first).toMatchObject({ level: 'info', message: 'joined', run: 'r1', role: 'worker', workers: 2 });
    expect(new Date(first?.time as string).toISOString()).toBe(first?.time);
    expect(second).toMatchObject({ level: 'warn', message: 'late\nby a line', run: 'r1', step: 7, unit: 1 });
  });

  it('leaves out what is below its level', () => {
    const write = (log: ReturnType<typeof openLog>): void => {
      log.debug('a');
      log.info('b');
      log.error('c');
    };
    expect(lines({ fields: {}, level: 'warn' }, write).map(({ message }) => message)).toEqual(['c']);
    expect(lines({ fields: {}, level: 'debug' }, write)).toHaveLength(3);
    expect(lines({ fields: {}, level: 'silent' }, write)).toHaveLength(0);
  });

  it('writes errors with code, remedy, cause and stack, and what JSON cannot say as text', () => {
    const cause = new Error('ENOENT');
    const error = new ShowtellError('run/missing', { run: 'x' }, { cause });
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    const [first, second] = lines({ fields: {} }, (log) => {
      log.error('failed', { error, loss: Number.NaN, bytes: 5n, ids: new Set([1, 2]) });
      log.info('cyclic', { cycle });
    });
    expect(first).toMatchObject({
      error: { code: 'run/missing', message: error.message, remedy: error.remedy, cause: { message: 'ENOENT' } },
      loss: 'NaN',
      bytes: '5',
      ids: [1, 2],
    });
    expect(second).toMatchObject({ message: 'cyclic' });
  });

  const library = createRequire(import.meta.url).resolve('@showtell/shared/service/log.js');
  const script = (body: string): string =>
    `const { openLog } = await import(${JSON.stringify(pathToFileURL(library).href)}); ${body}`;
  const run = (body: string, env: Record<string, string> = {}) =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script(body)], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });

  it('goes to stderr without a file, at the level of SHOWTELL_LOG', () => {
    const body = `const log = openLog({ fields: { role: 'w' } }); log.debug('a'); log.info('b');`;
    expect(run(body).stderr.trim().split('\n')).toHaveLength(1);
    const { stdout, stderr } = run(body, { SHOWTELL_LOG: 'DEBUG' });
    expect(stderr.trim().split('\n')).toHaveLength(2);
    expect(stdout).toBe('');
  });

  it.skipIf(!existsSync('/dev/full'))('goes on to stderr when the disk is full (needs /dev/full)', () => {
    const { status, stderr } = run(
      `const log = openLog({ fields: {}, file: '/dev/full' }); log.info('kept'); log.info('too');`,
    );
    expect(status).toBe(0);
    expect(stderr).toContain('ENOSPC');
    expect(stderr).toContain('"message":"kept"');
    expect(stderr).toContain('"message":"too"');
  });
});
