import { ShowtellError } from '@showtell/shared/errors.js';
import { checkMachine, type Check, type EngineKnown } from '../../local/machine-checks.js';
import { colorsFor, type Colors } from '../colors.js';
import { setUpEngine, type EngineName } from '../set-up.js';

/** `showtell doctor`: exits with 1 where something is red. */
export async function checkAndTell(json: boolean): Promise<void> {
  const checks = await checkMachine(engineKnown);
  const ok = checks.every((check) => check.state !== 'fail');
  process.stdout.write(json ? `${JSON.stringify({ ok, checks })}\n` : table(checks, colorsFor(process.stdout)));
  process.exitCode = ok ? 0 : 1;
}

async function engineKnown(engine: EngineName): Promise<EngineKnown> {
  try {
    return await setUpEngine(engine, { check: true });
  } catch (error) {
    if (error instanceof ShowtellError) return { ok: false, problem: error.message };
    throw error;
  }
}

/** One line a check, its remedy under it. */
export function table(checks: readonly Check[], colors: Colors): string {
  const width = Math.max(...checks.map((check) => check.name.length));
  const marks = { ok: colors.green('ok  '), warn: colors.yellow('warn'), fail: colors.red('FAIL') };
  const lines = checks.flatMap((check) => [
    `${marks[check.state]}  ${check.name.padEnd(width)}  ${check.found}`,
    ...(check.remedy === undefined || check.state === 'ok' ? [] : [`      ${' '.repeat(width)}  → ${check.remedy}`]),
  ]);
  const failed = checks.filter((check) => check.state === 'fail').length;
  const verdict = failed === 0 ? 'This machine is ready.' : `${failed} to mend before showtell runs here.`;
  return [...lines, '', verdict, ''].join('\n');
}
