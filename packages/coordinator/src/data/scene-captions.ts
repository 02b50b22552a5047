import type { Random } from '@showtell/shared/random.js';
import type { Scene, Thing } from './scene.js';

/**
 * What an annotator writes about a scene: true in every word, in a wording that varies from one to the next as people's
 * does, but plain enough that a reader who sees the picture can foresee most of it.
 */
function describeScene(scene: Scene, random: Random): string {
  const said = scene.things.length === 1 ? describeOne(scene, random) : describeSeveral(scene, random);
  return scene.background !== 'plain' && random.integer(3) === 0 ? `${said} on a ${scene.background} background` : said;
}

/** `n` captions of a scene. */
export function describeSceneTimes(scene: Scene, n: number, random: Random): string[] {
  return Array.from({ length: n }, () => describeScene(scene, random));
}

/** Out of ten annotators five say the thing and its place, two begin with "there is", two with "the picture shows", one with the place. */
function describeOne(scene: Scene, random: Random): string {
  const [thing] = scene.things as [Thing];
  const what = nounPhrase(thing, random);
  const where = place(thing);
  const style = random.integer(10);
  if (where === null) {
    if (style < 6) return `${what} in the picture`;
    return style < 8 ? `there are ${what} in the picture` : `the picture shows ${what}`;
  }
  if (style < 5) return `${what} ${where}`;
  if (style < 7) return `there is ${what} ${where}`;
  return style < 9 ? `the picture shows ${what} ${where}` : `${where} there is ${what}`;
}

function describeSeveral(scene: Scene, random: Random): string {
  const [first, second, ...others] = scene.things as [Thing, Thing, ...Thing[]];
  const relation = relate(first, second);
  const a = nounPhrase(first, random);
  const b = nounPhrase(second, random);
  const rest = others.map((thing) => ` and ${nounPhrase(thing, random)}`).join('');
  if (relation !== null && random.integer(10) < 6) return `${a} ${relation} ${b}${rest}`;
  const [placeA, placeB] = [place(first), place(second)];
  return `${a}${placeA === null ? '' : ` ${placeA}`} and ${b}${placeB === null ? '' : ` ${placeB}`}${rest}`;
}

const COUNT_WORDS = ['a', 'two', 'three'] as const;

/** "a large red circle"; one in five says "big" or "little". */
function nounPhrase({ cells, size, color, shape }: Thing, random: Random): string {
  const usual = random.integer(5) > 0;
  const sizeWord = size === 'large' ? (usual ? 'large' : 'big') : usual ? 'small' : 'little';
  const count = COUNT_WORDS[cells.length - 1] ?? 'many';
  return `${count} ${sizeWord} ${color} ${shape}${cells.length > 1 ? 's' : ''}`;
}

/** Of a single thing. */
function place({ cells }: Thing): string | null {
  const [cell] = cells;
  if (cell === undefined || cells.length > 1) return null;
  const { row, column } = cell;
  if (row === 'middle') return column === 'center' ? 'in the center' : `on the ${column}`;
  return column === 'center' ? `at the ${row}` : `in the ${row} ${column} corner`;
}

/** How a single thing lies to another, where one word says it. */
function relate(a: Thing, b: Thing): string | null {
  const [cellA] = a.cells;
  const [cellB] = b.cells;
  if (cellA === undefined || cellB === undefined || a.cells.length + b.cells.length > 2) return null;
  const order = ['top', 'middle', 'bottom', 'left', 'center', 'right'];
  const down = order.indexOf(cellA.row) - order.indexOf(cellB.row);
  const across = order.indexOf(cellA.column) - order.indexOf(cellB.column);
  if (down === 0) return across < 0 ? 'left of' : 'right of';
  return across === 0 ? (down < 0 ? 'above' : 'below') : null;
}
