import { createColors } from 'picocolors';

/** How text is coloured; each function gives its text back unchanged where colours are off. */
export type Colors = ReturnType<typeof createColors>;

/** What of a stream decides; Node leaves `isTTY` undefined where it is no terminal. */
interface Stream {
  readonly isTTY?: boolean | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Whether what is written to `stream` is coloured: on a terminal that is not `dumb`. `NO_COLOR` set to anything turns
 * colours off; else `FORCE_COLOR` turns them on, or off if it is `0` or `false`, whatever the stream is. Nothing else
 * counts: picocolors alone would also colour a file wherever `CI` is set.
 */
export function wantsColors(stream: Stream, env: Environment = process.env): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

/** Colours for what is written to `stream`, as {@link wantsColors} decides. */
export function colorsFor(stream: Stream, env: Environment = process.env): Colors {
  return createColors(wantsColors(stream, env));
}
