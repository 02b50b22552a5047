import type { Command } from 'commander';
import { readResults } from '../../evaluation/coco-results.js';
import { captionScores } from '../../evaluation/scores/caption-scores.js';

interface EvaluateOptions {
  readonly annotations: string;
  readonly results: string;
  readonly partial?: true;
  readonly json?: true;
}

const help = `
Captions are tokenised and scored as coco-caption does it: BLEU-1 to BLEU-4, ROUGE-L, CIDEr.

ANNOTATIONS is a COCO caption file:  {"images": [{"id": 1}], "annotations": [{"image_id": 1, "caption": "a red bus"}]}
RESULTS is COCO's results format:    [{"image_id": 1, "caption": "a bus"}]

Example:
  showtell evaluate --annotations captions_val2014.json --results captions.json --json

Exit codes: 0, 65 the files do not fit each other or are damaged, 66 one is missing.
`;

export function register(program: Command): void {
  program
    .command('evaluate')
    .description('score captions against the ones people wrote, as coco-caption does')
    .requiredOption('--annotations <file>', 'the captions people wrote, in COCO format')
    .requiredOption('--results <file>', 'the captions to score, in COCO results format')
    .option('--partial', 'score only the images that have a result')
    .option('--json', "print the scores as one JSON object, under coco-caption's names")
    .addHelpText('after', help)
    .action(async ({ annotations, results, partial, json }: EvaluateOptions) => {
      const captions = await readResults({ annotations, results, partial: partial ?? false });
      const scores = captionScores(captions).corpus;
      if (json) process.stdout.write(`${JSON.stringify(scores)}\n`);
      else process.stdout.write(table(captions.length, scores));
    });
}

function table(images: number, scores: object): string {
  const lines = Object.entries(scores).map(([name, score]) => `  ${name.padEnd(8)} ${(score as number).toFixed(4)}`);
  return `${images} ${images === 1 ? 'image' : 'images'}\n${lines.join('\n')}\n`;
}
