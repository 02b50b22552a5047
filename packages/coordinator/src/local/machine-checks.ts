import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import { findOnPath, runCommand } from '@showtell/shared/set-up/command.js';
import { listGpus } from '@showtell/shared/set-up/gpus.js';
import { installHint } from '@showtell/shared/set-up/install-hint.js';
import { findNatsServer, isAtLeast, natsVersion } from './nats-binary.js';

export interface Check {
  readonly name: string;
  /** `fail`: showtell does not run so; `warn`: it runs, with what the remedy says amiss. */
  readonly state: 'ok' | 'warn' | 'fail';
  readonly found: string;
  /** What to do; on every line that is not ok. */
  readonly remedy?: string;
}

/** What is known of the engine, as the worker package's set-up tells it. */
export interface EngineKnown {
  readonly ok: boolean;
  readonly tensorflow?: string;
  readonly folder?: string;
  readonly found?: string;
  readonly problem?: string;
}

/** Every check of `showtell doctor`, in its order. `cuda` is looked at only where there is a GPU. */
export async function checkMachine(
  engine: (kind: 'cpu' | 'cuda' | 'webgpu') => Promise<EngineKnown>,
): Promise<readonly Check[]> {
  const [cpu, webgpu] = [await engine('cpu'), await engine('webgpu')];
  const [gpus, nats] = await Promise.all([listGpus(), findNatsServer()]);
  const setUpDone = cpu.ok;
  const gpuChecks: Check[] =
    gpus.length === 0
      ? [{ name: 'GPU', state: 'ok', found: 'none by nvidia-smi; TensorFlow computes on the processor' }]
      : [
          { name: 'GPU', state: 'ok', found: gpus.map((gpu) => `${gpu.name} (${gpu.memoryMiB} MiB)`).join(', ') },
          checkCuda(await engine('cuda')),
        ];
  return [
    checkNode(process.versions.node),
    checkSystem(),
    checkEngine(cpu),
    { name: 'webgpu engine', state: 'ok', found: webgpu.ok ? (webgpu.found ?? '') : `none: ${webgpu.found ?? ''}` },
    { name: 'wasm engine', state: 'ok', found: 'comes with npm' },
    await checkNats(nats),
    await checkPython(setUpDone),
    await checkCompiler(cpu.ok),
    checkCores(),
    checkInstructions(process.arch, existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : ''),
    ...gpuChecks,
    checkMemory(memoryLimit()),
    await checkDisk('disk of the cache', cacheFolder(), cpu.ok ? 0.1 : 2.5),
    await checkDisk('disk here', process.cwd(), 1),
    await checkSharedMemory('/dev/shm'),
    await checkPorts(),
  ];
}

export function checkNode(version: string): Check {
  const major = Number(version.split('.')[0]);
  if (!isAtLeast(version, '20.19.0')) {
    return {
      name: 'Node',
      state: 'fail',
      found: version,
      remedy: 'Install Node 20.19 or newer; 20, 22 and 24 are tested.',
    };
  }
  if (![20, 22, 24].includes(major)) {
    return {
      name: 'Node',
      state: 'warn',
      found: version,
      remedy: 'Node 20, 22 and 24 are the versions that are tested.',
    };
  }
  return { name: 'Node', state: 'ok', found: version };
}

function checkSystem(): Check {
  const platform = `${process.platform}-${process.arch}`;
  const report = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const glibc = report.header.glibcVersionRuntime;
  const remedy =
    'TensorFlow is published for Linux on x64 and arm64 with glibc 2.27 or newer: use that, a container or WSL, or --engine wasm.';
  if (process.platform !== 'linux') return { name: 'system', state: 'warn', found: platform, remedy };
  if (glibc === undefined) return { name: 'system', state: 'warn', found: `${platform} without glibc (musl?)`, remedy };
  const found = `${platform}, glibc ${glibc}`;
  return isAtLeast(glibc, '2.27')
    ? { name: 'system', state: 'ok', found }
    : { name: 'system', state: 'warn', found, remedy };
}

function checkEngine(engine: EngineKnown): Check {
  if (engine.ok)
    return { name: 'tensorflow engine', state: 'ok', found: `${engine.tensorflow ?? ''}, ${engine.folder ?? ''}` };
  const remedy =
    'npx showtell engine setup (demo does it by itself); without it webgpu or wasm compute, ten times as slowly on a processor';
  return { name: 'tensorflow engine', state: 'warn', found: engine.problem ?? 'not set up', remedy };
}

function checkCuda(engine: EngineKnown): Check {
  if (engine.ok) return { name: 'cuda engine', state: 'ok', found: engine.folder ?? '' };
  const remedy = 'To train on the GPU: npx showtell engine setup --engine cuda';
  return { name: 'cuda engine', state: 'warn', found: engine.problem ?? 'not set up', remedy };
}

async function checkNats(file: string | undefined): Promise<Check> {
  if (file !== undefined)
    return { name: 'nats-server', state: 'ok', found: `${(await natsVersion(file)) ?? ''}, ${file}` };
  const old = await findOnPath('nats-server');
  const found =
    old === undefined ? 'absent' : `${old} is ${(await natsVersion(old)) ?? 'of no version'}, older than 2.9`;
  return { name: 'nats-server', state: 'fail', found, remedy: 'npx showtell engine setup' };
}

/** Python and compiler are asked for by TensorFlow's set-up alone: done, their absence is no fault. */
async function checkPython(setUpDone: boolean): Promise<Check> {
  const name = 'Python, pip';
  const state = setUpDone ? 'ok' : 'warn';
  const unneeded = setUpDone ? ' (needed for set-up only, which is done)' : '';
  const python = await findOnPath('python3', 'python');
  if (python === undefined) return { name, state, found: `absent${unneeded}`, remedy: installHint(['python']) };
  const pip = await runCommand(python, ['-m', 'pip', '--version'], { milliseconds: 30_000 });
  if (pip.status !== 0) {
    return { name, state, found: `${python} without pip${unneeded}`, remedy: installHint(['pip']) };
  }
  return { name, state: 'ok', found: `${python}, ${/^pip [\d.]+/.exec(pip.stdout)?.[0] ?? 'pip'}` };
}

async function checkCompiler(engineDone: boolean): Promise<Check> {
  const name = 'C++ compiler';
  const compiler = await findOnPath('g++', 'c++', 'clang++');
  if (compiler === undefined) {
    const found = engineDone ? 'absent (needed for set-up only, which is done)' : 'absent';
    return { name, state: engineDone ? 'ok' : 'warn', found, remedy: installHint(['compiler']) };
  }
  const version = /\d+\.\d+\.\d+/.exec((await runCommand(compiler, ['--version'])).stdout)?.[0];
  return { name, state: 'ok', found: `${compiler} ${version ?? ''}` };
}

function checkCores(): Check {
  const cores = availableParallelism();
  const found = `${cores} × ${cpus()[0]?.model ?? process.arch}`;
  if (cores >= 2) return { name: 'cores', state: 'ok', found };
  return { name: 'cores', state: 'warn', found, remedy: 'Two workers share one core: it works, at half the speed.' };
}

/** The sets that decide TensorFlow's speed; its x64 wheel does not start without AVX. */
export function checkInstructions(arch: string, cpuinfo: string): Check {
  const name = 'instruction sets';
  if (arch !== 'x64') return { name, state: 'ok', found: arch };
  const flags = new Set(/^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.trim().split(/\s+/) ?? []);
  const has = ['avx', 'avx2', 'fma', 'avx512f', 'avx512_bf16', 'amx_tile', 'amx_bf16'].filter((flag) =>
    flags.has(flag),
  );
  const found = has.length === 0 ? 'no AVX' : has.join(' ');
  if (flags.size > 0 && !flags.has('avx')) {
    return {
      name,
      state: 'fail',
      found,
      remedy: "TensorFlow's wheel needs a processor (or virtual machine) with AVX.",
    };
  }
  const bfloat16 = flags.has('avx512_bf16') || flags.has('amx_bf16');
  return {
    name,
    state: 'ok',
    found: `${found}; bfloat16 is ${bfloat16 ? 'native' : 'emulated, hence no faster than float32'}`,
  };
}

export function checkMemory(bytes: number): Check {
  const found = `${gigabytes(bytes)} GB`;
  if (bytes < 2e9)
    return {
      name: 'memory',
      state: 'fail',
      found,
      remedy: 'The demo takes about 2 GB; give the machine or container more.',
    };
  if (bytes < 6e9) {
    return {
      name: 'memory',
      state: 'warn',
      found,
      remedy: 'Enough for the demo; the im2txt preset takes about 3 GB a worker.',
    };
  }
  return { name: 'memory', state: 'ok', found };
}

/** The control group's limit where there is one. */
function memoryLimit(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

async function checkDisk(name: string, folder: string, neededGb: number): Promise<Check> {
  let existing = folder;
  while (!existsSync(existing)) existing = dirname(existing);
  const disk = await statfs(existing);
  const free = disk.bavail * disk.bsize;
  const found = `${gigabytes(free)} GB free in ${existing}`;
  try {
    accessSync(existing, constants.W_OK);
  } catch {
    return {
      name,
      state: 'fail',
      found: `${existing} cannot be written`,
      remedy: 'Set SHOWTELL_CACHE, or work in a folder of your own.',
    };
  }
  if (free >= neededGb * 1e9) return { name, state: 'ok', found };
  return {
    name,
    state: 'fail',
    found,
    remedy: `Free ${neededGb} GB there, or set SHOWTELL_CACHE to a folder on a larger disk.`,
  };
}

/** Processes of one machine hand tensors over there; without it they go by gRPC, which is slower. */
async function checkSharedMemory(folder: string): Promise<Check> {
  const remedy = 'Parameters and gradients go by gRPC instead, slower; in a container use --shm-size=2g.';
  try {
    const probe = await mkdtemp(join(folder, 'showtell-doctor-'));
    await writeFile(join(probe, 'probe'), 'x').finally(() => rm(probe, { recursive: true, force: true }));
    const disk = await statfs(folder);
    const free = disk.bavail * disk.bsize;
    const found = `${gigabytes(free)} GB free`;
    return free >= 1e9 ? { name: folder, state: 'ok', found } : { name: folder, state: 'warn', found, remedy };
  } catch {
    return { name: folder, state: 'warn', found: 'absent or not to be written', remedy };
  }
}

async function checkPorts(): Promise<Check> {
  const name = 'ports';
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', (error) =>
      resolve({
        name,
        state: 'fail',
        found: error.message,
        remedy: 'Processes must be able to listen on 127.0.0.1: check the firewall or sandbox.',
      }),
    );
    server.listen(0, '127.0.0.1', () =>
      server.close(() => resolve({ name, state: 'ok', found: '127.0.0.1 can be listened on, any free port' })),
    );
  });
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1);
}
