import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DiskFeatureCache, openMemoryCache, type PictureKey } from '@showtell/worker/input/feature-cache.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const F = 33;
const frameBytes = 24 + F * 4;
const picture = (imageId: number): PictureKey => ({ imageId, bytes: 1000 + imageId, crc: imageId * 7919 });
const feature = (imageId: number): Float32Array =>
  Float32Array.from({ length: F }, (_, i) => Math.fround(imageId + i / 3));

const open = (folder: string, failures: unknown[] = []): DiskFeatureCache =>
  new DiskFeatureCache(folder, 'key', F, (error) => failures.push(error));

describe('features in memory', () => {
  it('gives back copies of what was put', () => {
    using cache = openMemoryCache();
    const values = feature(1);
    cache.put(picture(1), values);
    values.fill(0);
    expect(cache.find(picture(1))).toEqual(feature(1));
    expect(cache.find({ ...picture(1), crc: 5 })).toBeNull();
  });
});

describe('features on disk', () => {
  it('gives back what was put, to other processes too, and notices another JPEG of the same id', () => {
    const folder = temporaryFolder();
    using writer = open(folder);
    using reader = open(folder);
    for (const id of [1, 2, 3]) writer.put(picture(id), feature(id));
    for (const id of [3, 1, 2]) expect(reader.find(picture(id))).toEqual(feature(id));
    expect(reader.find({ ...picture(2), bytes: 9 })).toBeNull();
    using later = open(folder);
    expect(later.find(picture(3))).toEqual(feature(3));
  });

  it('mixes the frames of two writers without loss', () => {
    const folder = temporaryFolder();
    using a = open(folder);
    using b = open(folder);
    for (let id = 0; id < 50; id++) (id % 2 === 0 ? a : b).put(picture(id), feature(id));
    for (let id = 0; id < 50; id++) expect((id % 2 === 0 ? b : a).find(picture(id))).toEqual(feature(id));
  });

  it('counts a damaged frame as absent and takes it anew', () => {
    const folder = temporaryFolder();
    const file = join(folder, 'key.features');
    {
      using cache = open(folder);
      for (const id of [1, 2, 3]) cache.put(picture(id), feature(id));
    }
    const bytes = readFileSync(file);
    bytes[frameBytes + 40]! ^= 1;
    writeFileSync(file, bytes);
    using cache = open(folder);
    expect(cache.find(picture(2))).toBeNull();
    expect(cache.find(picture(3))).toEqual(feature(3));
    cache.put(picture(2), feature(2));
    expect(cache.find(picture(2))).toEqual(feature(2));
  });

  it('passes over a frame torn by a crash, wherever the next one begins', () => {
    const folder = temporaryFolder();
    const file = join(folder, 'key.features');
    {
      using cache = open(folder);
      for (const id of [1, 2]) cache.put(picture(id), feature(id));
    }
    truncateSync(file, 2 * frameBytes - 17);
    {
      using cache = open(folder);
      expect(cache.find(picture(2))).toBeNull();
      for (const id of [3, 4]) cache.put(picture(id), feature(id));
    }
    appendFileSync(file, Buffer.alloc(5));
    using cache = open(folder);
    expect([1, 3, 4].map((id) => cache.find(picture(id)))).toEqual([1, 3, 4].map(feature));
    expect(cache.find(picture(2))).toBeNull();
    cache.put(picture(2), feature(2));
    expect(statSync(file).size).toBe(5 * frameBytes - 17 + 5);
    expect(cache.find(picture(2))).toEqual(feature(2));
  });
});
