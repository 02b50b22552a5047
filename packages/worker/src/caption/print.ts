import type { ScoredCaption } from '@showtell/shared/generated/showtell/v1/parameters.js';

/** A picture's line of `--json`. */
export function jsonLine(image: string, captions: readonly ScoredCaption[]): string {
  const plain = captions.map(({ caption, logProbability }) => ({ caption, logprob: logProbability }));
  return `${JSON.stringify({ image, captions: plain })}\n`;
}

/** A picture's lines for people: each caption after its probability. */
export function plainLines(image: string, captions: readonly ScoredCaption[]): string {
  const shares = captions.map(({ logProbability }) => probability(logProbability));
  const width = Math.max(0, ...shares.map((share) => share.length));
  const lines = captions.map(({ caption }, i) => `  ${(shares[i] ?? '').padStart(width)}  ${caption}`);
  return `${[image, ...lines].join('\n')}\n`;
}

/** The probability of a caption, the product of its words', as people read it: 34 %, 0.52 %, 3.1e-7. */
export function probability(logProbability: number): string {
  const p = Math.exp(logProbability);
  if (p < 0.0001) return p.toExponential(1);
  return `${Number((100 * p).toPrecision(2))} %`;
}

/** What a longer run comes to, for standard error. */
export function summary(done: number, failed: number, seconds: number): string {
  const pictures = `${done} ${done === 1 ? 'picture' : 'pictures'}`;
  const rate = (done / seconds).toPrecision(2);
  const missed = failed === 0 ? '' : `; ${failed} could not be captioned`;
  return `showtell caption: ${pictures} in ${seconds.toFixed(1)} s, ${rate} a second${missed}\n`;
}
