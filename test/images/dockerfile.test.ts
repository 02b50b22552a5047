import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { renderJob } from '@showtell/coordinator/kubernetes/render.js';
import { parseTrainingJob } from '@showtell/coordinator/kubernetes/training-job.js';
import { version } from '@showtell/shared/version.js';
import { copyOf, isIgnored, needed, stagesOf, variablesOf } from '../support/dockerfile.js';

const file = 'deploy/images/Dockerfile';
const stages = stagesOf(file);
const targets = ['coordinator', 'worker', 'worker-cuda'];
const chain = (target: string) => needed(stages, target).filter((stage) => isIn(target, stage.name));

/** Whether a stage is one that the target is built upon, rather than one it copies from. */
function isIn(target: string, name: string): boolean {
  const stage = stages.find((each) => each.name === target);
  return stage !== undefined && (stage.name === name || isIn(stage.from, name));
}

describe(file, () => {
  it('has the images that jobs ask for', () => {
    const job = (gpus: number) =>
      parseTrainingJob(
        {
          apiVersion: 'showtell.dev/v1alpha1',
          kind: 'TrainingJob',
          metadata: { name: 'a' },
          spec: { workers: { gpus }, job: { engine: { device: gpus > 0 ? 'cuda' : 'cpu' } } },
        },
        'a test',
      );
    const asked = [job(0), job(1)].flatMap((each) => [
      ...JSON.stringify(renderJob(each)).matchAll(/"image":"([^"]+)"/g),
    ]);
    const names = [...new Set(asked.map(([, image = '']) => image))].filter((image) => image.startsWith('showtell/'));
    expect(names.sort()).toEqual(targets.map((target) => `showtell/${target}:${version}`).sort());
    expect(stages.map(({ name }) => name)).toEqual(expect.arrayContaining(targets));
  });

  it('names every stage, and only stages and one pinned image to begin with', () => {
    const names = stages.map(({ name }) => name);
    expect(new Set(names).size).toBe(stages.length);
    for (const { from, name } of stages) {
      expect(name).toMatch(/^[a-z-]+$/);
      if (!names.includes(from)) expect(from).toMatch(/^node:\d+\.\d+\.\d+-bookworm-slim$/);
    }
  });

  it.each(targets)(
    '%s has the user, the programs and the cache that deploy/k8s counts on, and nothing to build with',
    (target) => {
      const instructions = chain(target).flatMap((stage) => stage.instructions);
      const last = (keyword: string) => instructions.findLast((each) => each.keyword === keyword)?.text;
      const [job] = parseAllDocuments(readFileSync('deploy/k8s/base/workers.yaml', 'utf8'))
        .map(
          (document) =>
            document.toJS() as {
              kind: string;
              spec: { template: { spec: { securityContext: { runAsUser: number } } } };
            },
        )
        .filter(({ kind }) => kind === 'Job');
      expect(last('USER')).toBe(`${job!.spec.template.spec.securityContext.runAsUser}:10001`);
      const environment = Object.assign(
        {},
        ...instructions.filter(({ keyword }) => keyword === 'ENV').map(({ text }) => variablesOf(text)),
      ) as Record<string, string>;
      expect(environment['PATH']).toMatch(/^\/opt\/showtell\/node_modules\/\.bin:/);
      const copies = instructions.filter(({ keyword }) => keyword === 'COPY').map(({ text }) => copyOf(text));
      expect(copies.map(({ target: into }) => into)).toContain('/opt/showtell');
      if (target !== 'coordinator') {
        expect(environment['SHOWTELL_CACHE']).toBe('/var/cache/showtell');
        expect(copies.map(({ target: into }) => into)).toContain('/var/cache/showtell/engine');
      }
      // Only what other stages made comes in, by copies that nobody but root may write to.
      for (const copy of copies) expect(copy.from).not.toBeNull();
      for (const { keyword, text } of instructions)
        if (keyword === 'RUN') expect(text).not.toMatch(/apt-get|npm|pip|g\+\+/);
    },
  );

  it('copies what is there, and the context holds what is copied', () => {
    const copies = stages.flatMap(({ instructions }) => instructions.filter(({ keyword }) => keyword === 'COPY'));
    for (const { text, line } of copies) {
      const { from, sources } = copyOf(text);
      if (from !== null) {
        expect(
          stages.map(({ name }) => name),
          `line ${line}`,
        ).toContain(from);
        continue;
      }
      for (const source of sources) {
        expect(existsSync(source), `line ${line}: ${source}`).toBe(true);
        expect(isIgnored(source, '.dockerignore'), `line ${line}: ${source}`).toBe(false);
      }
    }
  });

  it('keeps out of the context what is built, and what it does not need', () => {
    for (const path of [
      'packages/worker/dist/main.js',
      'packages/coordinator/node_modules/p-limit/index.js',
      'packages/worker/vendor/tfjs-node/package.json',
    ])
      expect(isIgnored(path, '.dockerignore'), path).toBe(true);
    for (const path of [
      'node_modules/zod/package.json',
      '.git/HEAD',
      'runs/a/run.json',
      'data/x',
      'test/tsconfig.json',
      'README.md',
    ])
      expect(isIgnored(path, '.dockerignore'), path).toBe(true);
    const tracked = execFileSync('git', ['ls-files', 'packages'], { encoding: 'utf8' }).trim().split('\n');
    expect(tracked.filter((path) => isIgnored(path, '.dockerignore'))).toEqual([]);
  });

  // The rules of hadolint that go for what is used here.
  it('keeps the usual rules', () => {
    for (const { instructions, name } of stages)
      for (const { keyword, text, line } of instructions) {
        const where = `line ${line}`;
        expect(['RUN', 'COPY', 'ENV', 'WORKDIR', 'USER', 'CMD', 'LABEL'], where).toContain(keyword);
        if (keyword === 'WORKDIR') expect(text, where).toMatch(/^\//);
        if (keyword === 'CMD') expect(JSON.parse(text), where).toEqual(expect.arrayContaining([expect.any(String)]));
        if (keyword !== 'RUN') continue;
        expect(text, where).not.toMatch(
          /\bsudo\b|\bcd \/|\bcurl\b.*\|\s*sh|apt-get (upgrade|dist-upgrade)|npm install/,
        );
        if (text.includes('apt-get install'))
          expect(text, where).toMatch(
            /apt-get update\b.*install --yes --no-install-recommends .*rm -rf \/var\/lib\/apt\/lists/,
          );
        if (text.includes('npm ci')) expect(name, where).toBe('installed');
      }
  });
});
