import type { Command } from 'commander';
import { ShowtellError } from '@showtell/shared/errors.js';
import { checkMachine, type Check, type EngineKnown } from '../../local/machine-checks.js';
import { colorsFor, type Colors } from '../colors.js';
import { setUpEngine, type EngineName } from '../set-up.js';

/** `showtell doctor`: what this machine has, and what to do for each red line. */
export function register(program: Command): void {
  program
    .command('doctor')
    .description('check this machine: Node, engine, NATS, instruction sets, GPU, disk, memory, ports')
    .option('--json', 'print {"ok", "checks": [{"name", "state", "found", "remedy"}, …]}')
    .addHelpText(
      'after',
      '\nChanges nothing. Exit codes: 0 nothing is red, 1 something is; each red line says what to do about it.',
    )
    .action(async (options: { readonly json?: true }) => {
      const checks = await checkMachine(engineKnown);
      const ok = checks.every((check) => check.state !== 'fail');
      process.stdout.write(
        options.json === true ? `${JSON.stringify({ ok, checks })}\n` : table(checks, colorsFor(process.stdout)),
      );
      process.exitCode = ok ? 0 : 1;
    });
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
