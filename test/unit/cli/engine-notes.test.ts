import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { deviceOfCheckpoint, deviceOfWorker } from '@showtell/coordinator/cli/engine-device.js';
import { passOnErrors } from '@showtell/coordinator/cli/engine-notes.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** Dropped on a processor, told with a GPU. */
const warnings = [
  'W0000 00:00:1795770533.377650   17282 gpu_device.cc:2430] Cannot dlopen some GPU libraries.\n',
  '2024-05-01 10:00:00.123456: W tensorflow/core/common_runtime/gpu/gpu_device.cc:1956] Cannot dlopen some GPU libraries.\n',
];
const notes = [
  'WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n',
  'I0000 00:00:1795770533.377650   17282 port.cc:153] oneDNN custom operations are on. You may see …\n',
  'E0000 00:00:1795772075.438036   19803 util.cc:131] oneDNN supports DT_INT32 only on platforms with AVX-512. Falling back to the default Eigen-based implementation if present.\n',
  '2024-05-01 10:00:00.123456: I tensorflow/core/platform/cpu_feature_guard.cc:182] This TensorFlow binary …\n',
];
const told = [
  'showtell caption: 3 pictures in 1.0 s\n',
  'F0000 00:00:1795771362.975579   18632 parse_flags_from_env.cc:234] Unknown flag in TF_XLA_FLAGS: --nonsense\n',
  'E0000 00:00:1795771362.975579   18632 cuda_executor.cc:1] failed call to cuInit\n',
  '2024-05-01 10:00:00.123456: E tensorflow/stream_executor/x.cc:1] no\n',
  'I am a line. WARNING: none\n',
  '\n',
  '{"level":"warn","message":"ö"}\n',
  'the last one has no end',
];

/** What comes through of bytes that arrive in pieces of a length. */
async function through(content: string, length: number, device: 'cpu' | 'cuda'): Promise<string> {
  const bytes = Buffer.from(content);
  const pieces = Array.from({ length: Math.ceil(bytes.length / length) }, (_, i) =>
    bytes.subarray(i * length, (i + 1) * length),
  );
  const from = Readable.from(pieces, { objectMode: false });
  const to = new PassThrough();
  passOnErrors(from, to, device);
  from.once('end', () => to.end());
  return text(to);
}

describe('what comes of an engine’s standard error', () => {
  it.each([1, 2, 7, 64, 10_000])('is all but notes, in pieces of %i bytes', async (length) => {
    const dropped = [...notes, ...warnings];
    const mixed = told.flatMap((line, i) => [dropped[i % dropped.length] ?? '', notes[0] ?? '', line]).join('');
    expect(await through(mixed, length, 'cpu')).toBe(told.join(''));
  });

  it.each([1, 64, 10_000])('has warnings too where there should be a GPU, in pieces of %i bytes', async (length) => {
    const kept = [...warnings, ...told];
    const mixed = kept.flatMap((line, i) => [notes[i % notes.length] ?? '', line]).join('');
    expect(await through(mixed, length, 'cuda')).toBe(kept.join(''));
  });

  it('is passed on before its line ends, as progress is', async () => {
    const from = new PassThrough();
    const to = new PassThrough().setEncoding('utf8');
    passOnErrors(from, to, 'cpu');
    from.write('\r3 of 10');
    expect(await once(to, 'data')).toEqual(['\r3 of 10']);
  });
});

describe('what a process computes on', () => {
  /** A folder with a job for a GPU, as a checkpoint, a run and a job file have it. */
  function withGpuJob(): string {
    const folder = temporaryFolder();
    const job = { engine: { device: 'cuda' } };
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ job }));
    writeFileSync(join(folder, 'job.json'), JSON.stringify(job));
    writeFileSync(join(folder, 'job.yaml'), 'engine:\n  device: cuda\n');
    return folder;
  }

  it('is the device of the checkpoint’s job, if TensorFlow computes', () => {
    const folder = withGpuJob();
    expect(deviceOfCheckpoint(folder, undefined)).toBe('cuda');
    expect(deviceOfCheckpoint(folder, 'auto')).toBe('cuda');
    expect(deviceOfCheckpoint(folder, 'wasm')).toBe('cpu');
    expect(deviceOfCheckpoint(join(folder, 'none'), undefined)).toBe('cpu');
  });

  it('is of a worker the device of its job, the run’s or a file', async () => {
    const folder = withGpuJob();
    const file = join(folder, 'job.yaml');
    expect(await deviceOfWorker(['--run', folder])).toBe('cuda');
    expect(await deviceOfWorker([`--run=${folder}`, '--id', 'a'])).toBe('cuda');
    expect(await deviceOfWorker(['--coordinator', 'there:1', '--job', file, '--until-complete'])).toBe('cuda');
    expect(await deviceOfWorker(['--run', join(folder, 'none')])).toBe('cpu');
    expect(await deviceOfWorker(['--help'])).toBe('cpu');
  });
});
