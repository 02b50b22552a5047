import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';

const run = promisify(execFile);
const version = '2.15.0';
const packages = [`torch==${version}`, 'torchvision==0.29.2', 'numpy==2.4.6', 'pillow==13.0.0'];
const timm = 'timm==1.0.31';

/**
 * The Python that has PyTorch: `TORCH_PY`, else of a venv in the cache folder, made on first use (about 6 GB).
 * @returns null where it cannot be had, which is said on stderr
 */
export async function torchPython(): Promise<string | null> {
  const own = process.env['TORCH_PY'];
  if (own !== undefined && own !== '') return own;
  const venv = path.join(cacheFolder(), 'bench', `torch-${version}-torchvision-0.29.2`);
  const python = path.join(venv, 'bin', 'python');
  if (existsSync(python)) return python;
  const beside = `${venv}.making`;
  try {
    console.error(`installing PyTorch ${version} into ${venv} …`);
    await rm(beside, { recursive: true, force: true });
    await mkdir(path.dirname(venv), { recursive: true });
    await run('python3', ['-m', 'venv', beside]);
    await run(path.join(beside, 'bin', 'python'), ['-m', 'pip', 'install', '-q', ...packages]);
    await rename(beside, venv);
    return python;
  } catch (error) {
    console.error(`no PyTorch to compare with: ${error instanceof Error ? error.message : String(error)}`);
    await rm(beside, { recursive: true, force: true });
    return null;
  }
}

/** The same with timm, which has nets that torchvision has not. */
export async function timmPython(): Promise<string | null> {
  const python = await torchPython();
  if (python === null) return null;
  try {
    await run(python, ['-c', 'import timm']);
  } catch {
    try {
      await run(python, ['-m', 'pip', 'install', '-q', timm]);
    } catch (error) {
      console.error(`no timm to compare with: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
  }
  return python;
}
