import { ShowtellError } from '@showtell/shared/errors.js';
import { numericDifferences } from '@showtell/shared/job/digest.js';
import type { Job } from '@showtell/shared/job/job.js';
import { pastPhases } from './past-phases.js';
import type { RunFolder, RunIdentity } from './run-folder.js';

/**
 * Takes the job a run resumes with, if it is the same where it must be.
 *
 * @throws ShowtellError `run/other-job`, `run/other-data`, `run/steps-shrunk`, `run/phase-over`
 */
export function resumeRun(
  folder: RunFolder,
  job: Job,
  identity: Pick<RunIdentity, 'jobSha256' | 'datasetDigest'>,
): void {
  const begun = folder.identity();
  const before = folder.job();
  if (begun.jobSha256 !== identity.jobSha256) {
    const differences = numericDifferences(before, job);
    if (differences.length === 0) differences.push('model.encoder.weights: the file has other content');
    throw new ShowtellError('run/other-job', { run: folder.path, differences });
  }
  if (begun.datasetDigest !== identity.datasetDigest)
    throw new ShowtellError('run/other-data', { run: folder.path, directory: job.data.directory ?? '' });
  const past = pastPhases(folder);
  for (const phase of ['decoderOnly', 'joint'] as const) {
    const [was, now] = [before.phases[phase].steps, job.phases[phase].steps];
    const field = `phases.${phase}.steps`;
    if (now < was) throw new ShowtellError('run/steps-shrunk', { field, was, now });
    const how = past[phase];
    if (now > was && how !== undefined) throw new ShowtellError('run/phase-over', { field, was, now, how });
  }
  folder.keepJob(job);
}
