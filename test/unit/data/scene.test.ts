import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { drawScene } from '@showtell/coordinator/data/draw-scene.js';
import { COLORS, inventScene, type Scene } from '@showtell/coordinator/data/scene.js';
import { describeSceneTimes } from '@showtell/coordinator/data/scene-captions.js';
import { random } from '@showtell/shared/random.js';

const one: Scene = {
  background: 'plain',
  things: [{ color: 'red', shape: 'square', size: 'large', cells: [{ row: 'bottom', column: 'left' }] }],
};

describe('a scene', () => {
  it('is drawn where and in the colour it says', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const jpeg = await drawScene(one, 96, random(seed, 'picture'));
      const { data } = await sharp(jpeg).raw().toBuffer({ resolveWithObject: true });
      const pixel = (x: number, y: number) => [...data.subarray((y * 96 + x) * 3, (y * 96 + x) * 3 + 3)];
      const [red = 0, green = 0, blue = 0] = pixel(Math.round(0.27 * 96), Math.round(0.73 * 96));
      expect(Math.abs(red - COLORS.red[0]) + Math.abs(green - COLORS.red[1]) + Math.abs(blue - COLORS.red[2])).toBeLessThan(60);
      const [r = 0, g = 0, b = 0] = pixel(Math.round(0.73 * 96), Math.round(0.27 * 96));
      expect(Math.max(r, g, b) - Math.min(r, g, b)).toBeLessThan(8);
    }
  });

  it('is the same picture for the same stream and another for another', async () => {
    const [a, b, c] = await Promise.all([1, 1, 2].map((seed) => drawScene(one, 80, random(seed, 'picture'))));
    expect(a!.equals(b!)).toBe(true);
    expect(a!.equals(c!)).toBe(false);
  });

  it('is described truly: every colour, shape, size and place word is of something in it', () => {
    const options = { objects: 1, maxCount: 1, backgrounds: 1 };
    const places = ['top', 'bottom', 'left', 'right', 'center'];
    const wordings = new Set<string>();
    for (let seed = 0; seed < 300; seed++) {
      const scene = inventScene(options, random(seed, 'scene'));
      const { color, shape, size, cells } = scene.things[0]!;
      const { row, column } = cells[0]!;
      for (const caption of describeSceneTimes(scene, 5, random(seed, 'captions'))) {
        const words = caption.split(' ');
        expect(words.filter((word) => word in COLORS)).toEqual([color]);
        expect(words).toContain(shape);
        expect(words.some((word) => (size === 'large' ? ['large', 'big'] : ['small', 'little']).includes(word))).toBe(true);
        const said = words.filter((word) => places.includes(word));
        const true_ = row === 'middle' ? [column] : column === 'center' ? [row] : [row, column];
        expect(said).toEqual(true_);
        wordings.add(caption.replace(color, 'C').replace(shape, 'S'));
      }
    }
    expect(wordings.size).toBeGreaterThan(60);
  });

  it('may have several things, each of its own kind, in cells of their own', () => {
    for (let seed = 0; seed < 300; seed++) {
      const { things } = inventScene({ objects: 3, maxCount: 3, backgrounds: 4 }, random(seed, 'scene'));
      const kinds = things.map(({ color, shape }) => `${color} ${shape}`);
      const cells = things.flatMap((thing) => thing.cells.map(({ row, column }) => `${row} ${column}`));
      expect(new Set(kinds).size).toBe(kinds.length);
      expect(new Set(cells).size).toBe(cells.length);
    }
  });
});
