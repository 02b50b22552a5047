import { random } from '@showtell/shared/random.js';

/** One picture's captions as people and a model might write them. */
interface CaptionedPicture {
  readonly id: number;
  readonly references: readonly string[];
  readonly candidate: string;
}

const endings = ['.', '.', '.', '', '', ' .', '!'] as const;
const oddities = [
  "it's",
  'black-and-white',
  'half-eaten,',
  '"stop"',
  '2',
  'Mr. Smith',
  "don't",
  '(red)',
  'café',
] as const;

/**
 * Captions for `pictures` pictures, `references` each, of 8 to 14 words from a vocabulary of some 8,000 whose frequencies
 * fall as a language's do. References of a picture share words; the candidate is one of them with words changed.
 */
export function captionSet(pictures: number, references: number, seed = 1): CaptionedPicture[] {
  const drawn = random(seed, 'captions');
  const draw = (): number => drawn.float();
  const below = (limit: number): number => drawn.integer(limit);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;
  const words = Array.from({ length: 8000 }, (_, i) => spell(i));
  // The product of three uniform numbers favours small ones about as words are favoured.
  const word = (): string =>
    draw() < 0.01 ? pick(oddities) : (words[below(1 + below(1 + below(words.length)))] ?? '');

  return Array.from({ length: pictures }, (_, picture) => {
    const theme = Array.from({ length: 14 }, word);
    const caption = (): string[] =>
      theme.slice(0, 8 + below(7)).map((one) => (draw() < 0.45 ? word() : draw() < 0.1 ? pick(theme) : one));
    const write = (caption: readonly string[]): string => {
      const [first = '', ...rest] = caption;
      return [first.charAt(0).toUpperCase() + first.slice(1), ...rest].join(' ') + pick(endings);
    };
    const own = Array.from({ length: references }, caption);
    return {
      id: picture + 1,
      references: own.map(write),
      candidate: pick(own)
        .map((one) => (draw() < 0.3 ? word() : one))
        .join(' '),
    };
  });
}

/** A pronounceable word for a number, another for each. */
function spell(index: number): string {
  let text = '';
  for (let rest = index + 1; rest > 0; rest = Math.floor(rest / 85))
    text += 'bcdfghjklmnprstvz'.charAt(rest % 17) + 'aeiou'.charAt(Math.floor(rest / 17) % 5);
  return text;
}
