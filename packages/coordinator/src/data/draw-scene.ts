import sharp from 'sharp';
import type { Random } from '@showtell/shared/random.js';
import { COLORS, COLUMNS, ROWS, type Background, type Scene, type Shape, type Size } from './scene.js';

/** Samples a pixel's side is cut into at the edges of things. */
const SAMPLES = 4;

/** Centres of the cells, so far inside that a central crop of 7/8, as im2txt's, leaves every thing whole. */
const CENTRES = [0.27, 0.5, 0.73];
const JITTER = 0.02;

/** Half the extent of a thing that is alone, as a share of the picture's side. */
const RADII: Readonly<Record<Size, readonly [number, number]>> = { small: [0.105, 0.12], large: [0.185, 0.2] };

/** Of several things each is so much smaller, which keeps neighbours apart. */
const AMONG_OTHERS = 0.55;

interface PlacedThing {
  readonly shape: Shape;
  readonly color: readonly [number, number, number];
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

/**
 * The scene as a JPEG of `side` × `side` pixels. Where things lie within their cells, their exact size and colour, the
 * background's grey and its noise come from the random stream: pixels are made of integers and + − × ÷ sqrt, so equal
 * streams give equal pixels everywhere.
 */
export async function drawScene(scene: Scene, side: number, random: Random): Promise<Buffer> {
  const pixels = paintBackground(scene.background, side, random);
  const alone = scene.things.length === 1 && scene.things[0]?.cells.length === 1;
  for (const thing of scene.things) {
    for (const cell of thing.cells) {
      const [low, high] = RADII[thing.size];
      const [red, green, blue] = COLORS[thing.color];
      paint(pixels, side, {
        shape: thing.shape,
        color: [shade(red, random), shade(green, random), shade(blue, random)],
        x: side * ((CENTRES[COLUMNS.indexOf(cell.column)] ?? 0.5) + random.uniform(-JITTER, JITTER)),
        y: side * ((CENTRES[ROWS.indexOf(cell.row)] ?? 0.5) + random.uniform(-JITTER, JITTER)),
        radius: side * random.uniform(low, high) * (alone ? 1 : AMONG_OTHERS),
      });
    }
  }
  const raw = { width: side, height: side, channels: 3 } as const;
  return sharp(pixels, { raw }).jpeg({ quality: 90, chromaSubsampling: '4:4:4' }).toBuffer();
}

function shade(channel: number, random: Random): number {
  return Math.max(0, Math.min(255, channel + random.integer(21) - 10));
}

/** Grey of a picture's own lightness, lit a little from one side, with fine noise; a pattern is two greys. */
function paintBackground(background: Background, side: number, random: Random): Uint8Array {
  const pixels = new Uint8Array(side * side * 3);
  const grey = 178 + random.integer(13);
  const slopeX = random.integer(17) - 8;
  const slopeY = random.integer(17) - 8;
  const period = Math.max(4, Math.round(side / 8));
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const light = grey + (slopeX * x + slopeY * y) / side + random.integer(9) - 4;
      const value = Math.round(light) - (inPattern(background, x, y, period) ? 24 : 0);
      const at = (y * side + x) * 3;
      pixels[at] = value;
      pixels[at + 1] = value;
      pixels[at + 2] = value;
    }
  }
  return pixels;
}

function inPattern(background: Background, x: number, y: number, period: number): boolean {
  switch (background) {
    case 'plain':
      return false;
    case 'striped':
      return x % period < period / 2;
    case 'dotted': {
      const dx = (x % period) - period / 2;
      const dy = (y % period) - period / 2;
      return dx * dx + dy * dy < (period * period) / 16;
    }
    case 'checkered':
      return x % period < period / 2 === y % period < period / 2;
  }
}

function paint(pixels: Uint8Array, side: number, thing: PlacedThing): void {
  const { x, y, radius, color } = thing;
  const top = Math.max(0, Math.floor(y - radius));
  const bottom = Math.min(side - 1, Math.ceil(y + radius));
  const left = Math.max(0, Math.floor(x - radius));
  const right = Math.min(side - 1, Math.ceil(x + radius));
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) {
      let inside = 0;
      for (let i = 0; i < SAMPLES * SAMPLES; i++) {
        const sampleX = column + ((i % SAMPLES) + 0.5) / SAMPLES;
        const sampleY = row + (Math.floor(i / SAMPLES) + 0.5) / SAMPLES;
        if (covers(thing.shape, (sampleX - x) / radius, (sampleY - y) / radius)) inside++;
      }
      if (inside === 0) continue;
      const share = inside / (SAMPLES * SAMPLES);
      for (let channel = 0; channel < 3; channel++) {
        const at = (row * side + column) * 3 + channel;
        pixels[at] = Math.round((pixels[at] ?? 0) * (1 - share) + (color[channel] ?? 0) * share);
      }
    }
  }
}

/** Whether a shape in the square from −1 to 1 covers a point of it; y points down. */
function covers(shape: Shape, x: number, y: number): boolean {
  switch (shape) {
    case 'circle':
      return x * x + y * y <= 1;
    case 'square':
      return x >= -0.9 && x <= 0.9 && y >= -0.9 && y <= 0.9;
    case 'triangle':
      // Upright, its tip at the top: half as wide at a height as it is far from the tip.
      return y >= -1 && y <= 0.85 && Math.abs(x) * 1.85 <= y + 1;
  }
}
