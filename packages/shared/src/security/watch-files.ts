import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** How often files are looked at: renewing certificates is no hurry. */
const usualMs = 5_000;

/**
 * Calls back when the content of any of the files has changed. By content and by the clock: a mounted Secret changes by a link
 * above the folder, of which no watcher of a file is told.
 */
export function watchFiles(files: readonly string[], onChange: () => void, intervalMs = usualMs): Disposable {
  let before: string | null = null;
  let isLooking = false;
  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    try {
      const contents = await Promise.all(files.map((file) => readFile(file)));
      const hash = createHash('sha256');
      for (const content of contents) hash.update(`${content.length} `).update(content);
      const now = hash.digest('hex');
      if (before !== null && before !== now) onChange();
      before = now;
    } catch {
      // One of them is being replaced: the next look sees what came.
    } finally {
      isLooking = false;
    }
  };
  void look();
  const timer = setInterval(() => void look(), intervalMs).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
