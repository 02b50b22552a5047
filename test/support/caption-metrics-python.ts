import { findOnPath } from '@showtell/shared/set-up/command.js';
import { findPython, pythonOf } from './python-environment.js';

/**
 * A Python with coco-caption's official tools, made in the cache folder on first use.
 * @returns null where there is no Java, which they run on, or none can be made
 */
export async function captionMetricsPython(): Promise<string | null> {
  if ((await findOnPath('java')) === undefined) return null;
  const found = await findPython([11, 12, 13, 10]);
  if (found === null) return null;
  const packages = ['pycocoevalcap==1.2', 'pycocotools==2.0.11', 'numpy==2.4.6'];
  return pythonOf({ name: `pycocoevalcap-1.2-python3.${found.minor}`, packages }, found.python);
}
