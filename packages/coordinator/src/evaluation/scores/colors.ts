import type { ScoredCaption } from './number-tokens.js';

/** Each word for a colour, and the one name under which its synonyms count. */
const colorNames: ReadonlyMap<string, string> = new Map(
  Object.entries({
    red: 'red',
    scarlet: 'red',
    crimson: 'red',
    orange: 'orange',
    yellow: 'yellow',
    green: 'green',
    blue: 'blue',
    navy: 'blue',
    cyan: 'cyan',
    turquoise: 'cyan',
    teal: 'cyan',
    aqua: 'cyan',
    purple: 'purple',
    violet: 'purple',
    pink: 'pink',
    magenta: 'pink',
    brown: 'brown',
    tan: 'brown',
    black: 'black',
    white: 'white',
    gray: 'gray',
    grey: 'gray',
  }),
);

/**
 * The colours that references ask of a caption. A picture is judged where at least half of its references name a colour
 * and those that do have one in common: `required` is what all of these name, `allowed` what any of them names.
 */
export interface ColorTarget {
  readonly required: ReadonlySet<string>;
  readonly allowed: ReadonlySet<string>;
}

/** How a caption's colours compare with its picture's references; `unjudged` where these do not agree on any. */
export type ColorVerdict = 'right' | 'wrong' | 'unjudged';

export interface ColorAccuracy {
  /** Right captions over judged ones; 0 when none is judged. */
  readonly accuracy: number;
  readonly right: number;
  readonly judged: number;
}

/** A piece of a caption's text; `color` tells how a colour word in it fares, `null` anything else. */
export interface CaptionPiece {
  readonly text: string;
  readonly color: 'right' | 'wrong' | 'unjudged' | null;
}

/** Colours named in tokenised words, by their one name; parts of hyphenated words count (`blue-and-white` names two). */
export function namedColors(tokens: readonly string[]): Set<string> {
  const found = new Set<string>();
  for (const token of tokens) {
    for (const part of token.split(/[-/\u00a0]/u)) {
      const color = colorNames.get(part);
      if (color !== undefined) found.add(color);
    }
  }
  return found;
}

/** What the references ask, or `null` where they do not agree on a colour. */
export function colorTarget(references: readonly (readonly string[])[]): ColorTarget | null {
  const naming = references.map(namedColors).filter((colors) => colors.size > 0);
  const [first, ...others] = naming;
  if (first === undefined || naming.length * 2 < references.length) return null;
  const required = new Set([...first].filter((color) => others.every((colors) => colors.has(color))));
  if (required.size === 0) return null;
  return { required, allowed: new Set(naming.flatMap((colors) => [...colors])) };
}

/**
 * Right: the caption names every colour that its references agree on and none that no reference names. Which thing has
 * which colour is not looked at, nor how often a colour is named; `orange` the fruit counts as the colour.
 */
export function judgeColors({ candidate, references }: ScoredCaption): ColorVerdict {
  const target = colorTarget(references);
  if (target === null) return 'unjudged';
  const named = namedColors(candidate);
  const complete = [...target.required].every((color) => named.has(color));
  const nothingElse = [...named].every((color) => target.allowed.has(color));
  return complete && nothingElse ? 'right' : 'wrong';
}

/** Share of judged captions with the right colours. */
export function colorAccuracy(captions: readonly ScoredCaption[]): ColorAccuracy {
  const verdicts = captions.map(judgeColors);
  const right = verdicts.filter((verdict) => verdict === 'right').length;
  const judged = right + verdicts.filter((verdict) => verdict === 'wrong').length;
  return { accuracy: judged === 0 ? 0 : right / judged, right, judged };
}

/** A caption cut so that a page or terminal can mark its colour words; the pieces' texts joined give the caption. */
export function markColors(caption: string, references: readonly (readonly string[])[]): CaptionPiece[] {
  const target = colorTarget(references);
  return caption
    .split(/([\p{L}]+)/u)
    .filter((text) => text !== '')
    .map((text) => {
      const color = colorNames.get(text.toLowerCase());
      if (color === undefined) return { text, color: null };
      if (target === null) return { text, color: 'unjudged' };
      return { text, color: target.allowed.has(color) ? 'right' : 'wrong' };
    });
}
