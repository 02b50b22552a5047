import { appendFileSync, mkdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { watchFolder } from '@showtell/worker/caption/watch-folder.js';
import { writeFiles } from '../../support/pictures.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

interface Offer {
  readonly name: string;
  readonly isLastTry: boolean;
}

/** Watches a folder; a file is done when `decodes` says so, or when it is offered for the last time. */
async function watching(
  folder: string,
  decodes: (name: string) => boolean,
  play: (offers: readonly Offer[]) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const offers: Offer[] = [];
  const how = { recursive: false, everyMs: 20, patienceMs: 200, signal: stop.signal };
  let ready = (): void => undefined;
  const isReady = new Promise<void>((resolve) => (ready = resolve));
  const over = (async () => {
    for await (const arrivals of watchFolder(folder, how, ready))
      for (const arrival of arrivals) {
        const { file, isLastTry } = arrival;
        offers.push({ name: basename(file), isLastTry });
        if (isLastTry || decodes(basename(file))) arrival.done();
      }
  })();
  await Promise.race([isReady, over]);
  await play(offers);
  stop.abort();
  await over;
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('it did not come to it');
    await delay(10);
  }
}

describe('a watched folder', () => {
  it('offers what appears, once, and nothing that was there before', async () => {
    const folder = temporaryFolder();
    writeFiles({ [join(folder, 'old.jpg')]: 'old' });
    await watching(
      folder,
      () => true,
      async (offers) => {
        writeFiles({ [join(folder, 'a.jpg')]: 'a', [join(folder, 'notes.txt')]: 'no picture' });
        writeFiles({ [join(folder, '.b.jpg.part')]: 'b' });
        renameSync(join(folder, '.b.jpg.part'), join(folder, 'b.jpg'));
        await until(() => offers.length === 2);
        await delay(300);
        expect(offers.map(({ name }) => name).sort()).toEqual(['a.jpg', 'b.jpg']);
      },
    );
  });

  it('offers a changed picture again, and one that was removed and came back', async () => {
    const folder = temporaryFolder();
    writeFiles({ [join(folder, 'old.jpg')]: 'old' });
    await watching(
      folder,
      () => true,
      async (offers) => {
        appendFileSync(join(folder, 'old.jpg'), ' and new');
        await until(() => offers.length === 1);
        rmSync(join(folder, 'old.jpg'));
        await delay(100);
        writeFiles({ [join(folder, 'old.jpg')]: 'old' });
        utimesSync(join(folder, 'old.jpg'), 1, 1);
        await until(() => offers.length === 2);
      },
    );
  });

  it('waits for one that is being written, and does not call it damaged while it grows', async () => {
    const folder = temporaryFolder();
    await watching(
      folder,
      (name) => name === 'whole.jpg',
      async (offers) => {
        const file = join(folder, 'growing.jpg');
        for (let i = 0; i < 15; i++) {
          appendFileSync(file, 'more');
          await delay(35);
        }
        expect(offers.filter(({ isLastTry }) => isLastTry)).toEqual([]);
        await until(() => offers.some(({ isLastTry }) => isLastTry));
        const tries = offers.length;
        await delay(300);
        expect(offers.length).toBe(tries);
      },
    );
  });

  it('goes on when the folder was away for a while, without taking all of it for new', async () => {
    const folder = join(temporaryFolder(), 'mount');
    mkdirSync(folder);
    writeFiles({ [join(folder, 'old.jpg')]: 'old' });
    await watching(
      folder,
      () => true,
      async (offers) => {
        renameSync(folder, `${folder}.away`);
        await delay(100);
        renameSync(`${folder}.away`, folder);
        writeFiles({ [join(folder, 'new.jpg')]: 'new' });
        await until(() => offers.length > 0);
        await delay(100);
        expect(offers.map(({ name }) => name)).toEqual(['new.jpg']);
      },
    );
  });

  it('that is not there is an error at once', async () => {
    const folder = join(temporaryFolder(), 'none');
    await expect(
      watching(
        folder,
        () => true,
        () => Promise.resolve(),
      ),
    ).rejects.toMatchObject({
      code: 'picture/unreadable',
    });
  });
});
