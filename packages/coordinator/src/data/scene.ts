import type { Random } from '@showtell/shared/random.js';

/** The colours of things; far from each other and from the backgrounds, at any size a picture is drawn in. */
export const COLORS = {
  red: [235, 25, 35],
  green: [40, 200, 70],
  blue: [30, 60, 240],
  yellow: [250, 225, 40],
  orange: [255, 135, 10],
  purple: [180, 60, 220],
  black: [12, 12, 12],
  white: [252, 252, 252],
} as const satisfies Record<string, readonly [number, number, number]>;
type Color = keyof typeof COLORS;

const SHAPES = ['circle', 'square', 'triangle'] as const;
export type Shape = (typeof SHAPES)[number];

const SIZES = ['small', 'large'] as const;
export type Size = (typeof SIZES)[number];

export const ROWS = ['top', 'middle', 'bottom'] as const;
export const COLUMNS = ['left', 'center', 'right'] as const;
export type Row = (typeof ROWS)[number];
type Column = (typeof COLUMNS)[number];

export const BACKGROUNDS = ['plain', 'striped', 'dotted', 'checkered'] as const;
export type Background = (typeof BACKGROUNDS)[number];

/** A thing or several of its kind. */
export interface Thing {
  readonly color: Color;
  readonly shape: Shape;
  readonly size: Size;
  /** One for each of its kind, no two things of a scene in one. */
  readonly cells: readonly { readonly row: Row; readonly column: Column }[];
}

export interface Scene {
  readonly background: Background;
  readonly things: readonly Thing[];
}

export interface SceneOptions {
  /** Kinds of things in a scene, from 1 to this. */
  readonly objects: number;
  /** Of one kind, from 1 to this. */
  readonly maxCount: number;
  /** How many of {@link BACKGROUNDS}, from the first. */
  readonly backgrounds: number;
}

/** Kinds and cells are enough for any scene within these. */
export const MAX_OBJECTS = 3;
export const MAX_COUNT = 3;

function pick<T>(list: readonly T[], random: Random): T {
  return list[random.integer(list.length)] as T;
}

/** A scene, every property of it equally likely; no two kinds of things in it have both colour and shape in common. */
export function inventScene(options: SceneOptions, random: Random): Scene {
  const cells = ROWS.flatMap((row) => COLUMNS.map((column) => ({ row, column })));
  const kinds = (Object.keys(COLORS) as Color[]).flatMap((color) => SHAPES.map((shape) => ({ color, shape })));
  const things: Thing[] = [];
  const number = 1 + random.integer(options.objects);
  for (let i = 0; i < number; i++) {
    const [kind] = kinds.splice(random.integer(kinds.length), 1) as [(typeof kinds)[number]];
    const size = pick(SIZES, random);
    const own: (typeof cells)[number][] = [];
    const count = 1 + random.integer(options.maxCount);
    for (let n = 0; n < count; n++) own.push(...cells.splice(random.integer(cells.length), 1));
    things.push({ ...kind, size, cells: own });
  }
  return { background: pick(BACKGROUNDS.slice(0, options.backgrounds), random), things };
}
