import { symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findPictures } from '@showtell/worker/caption/find-pictures.js';
import { writeFiles } from '../../support/pictures.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

function folderOfPictures(): string {
  const folder = temporaryFolder();
  const names = ['b.jpg', 'a.JPEG', 'c.png', 'notes.txt', '.hidden.jpg', 'd.webp.part', 'sub/e.gif', 'sub/deep/f.bmp'];
  writeFiles(Object.fromEntries(names.map((name) => [join(folder, name), name])));
  symlinkSync(folder, join(folder, 'sub', 'round'));
  return folder;
}

async function found(folder: string, inputs: readonly string[], recursive = false) {
  const sources = [];
  for await (const source of findPictures(inputs, { recursive, maxBytes: 100, timeoutMs: 1000 }))
    sources.push('error' in source ? source.error : relative(folder, source.name));
  return sources;
}

describe('pictures that arguments name', () => {
  it('are those of a folder, sorted, hidden and half-written ones left out', async () => {
    const folder = folderOfPictures();
    expect(await found(folder, [folder])).toEqual(['a.JPEG', 'b.jpg', 'c.png']);
  });

  it('are those below it when asked, links to folders not followed', async () => {
    const folder = folderOfPictures();
    expect(await found(folder, [folder], true)).toEqual(['a.JPEG', 'b.jpg', 'c.png', 'sub/deep/f.bmp', 'sub/e.gif']);
  });

  it('are those that a glob matches, in order of the arguments, and any file that is named', async () => {
    const folder = folderOfPictures();
    const inputs = [join(folder, '**/*.{gif,bmp}'), join(folder, 'notes.txt'), join(folder, '?.jpg')];
    expect(await found(folder, inputs)).toEqual(['sub/deep/f.bmp', 'sub/e.gif', 'notes.txt', 'b.jpg']);
  });

  it('or the reason why there are none', async () => {
    const folder = temporaryFolder();
    writeFiles({ [join(folder, 'sub/a.jpg')]: 'a', [join(folder, 'large.jpg')]: 'x'.repeat(101) });
    const [empty, glob, missing] = await found(folder, [
      join(folder, 'sub', '..', 'sub', 'none'),
      join(folder, '*.gif'),
      join(folder, 'gone.jpg'),
    ]);
    expect(empty).toMatchObject({ code: 'file/missing' });
    expect(glob).toMatchObject({ code: 'picture/none-found', exitCode: 66 });
    expect(missing).toMatchObject({ code: 'file/missing', exitCode: 66 });
    writeFiles({ [join(folder, 'bare/inner/a.jpg')]: 'a' });
    const [bare] = await found(folder, [join(folder, 'bare')]);
    expect(bare).toMatchObject({
      code: 'picture/none-found',
      message: expect.stringContaining('--recursive') as string,
    });
  });

  it('and one of too many bytes is not read', async () => {
    const folder = temporaryFolder();
    writeFiles({ [join(folder, 'large.jpg')]: 'x'.repeat(101) });
    for await (const source of findPictures([folder], { recursive: false, maxBytes: 100, timeoutMs: 1000 })) {
      if ('error' in source) throw source.error;
      await expect(source.bytes()).rejects.toMatchObject({ code: 'picture/too-many-bytes', exitCode: 65 });
    }
  });
});
