import type { Command } from 'commander';
import type { EvaluateOptions } from '../actions/evaluate.js';

const help = `
Captions are tokenised and scored as coco-caption does it: BLEU-1 to BLEU-4, METEOR, ROUGE-L, CIDEr.

METEOR is computed by its own program, which needs Java and is fetched once (104 MB, by pip, into showtell's cache).
Where it cannot be had the output says so; with --meteor that is an error.

ANNOTATIONS is a COCO caption file:  {"images": [{"id": 1}], "annotations": [{"image_id": 1, "caption": "a red bus"}]}
RESULTS is COCO's results format:    [{"image_id": 1, "caption": "a bus"}]
--json prints                        {"Bleu_1": …, "Bleu_2": …, "Bleu_3": …, "Bleu_4": …, "METEOR": …, "ROUGE_L": …, "CIDEr": …}
  where METEOR is missing            … "absent": {"METEOR": "No Java is on PATH …"}}
  and with --per-image               … "evalImgs": [{"image_id": 1, "Bleu_1": …, …}]}

Example:
  showtell evaluate --annotations captions_val2014.json --results captions.json --json

Exit codes: 0, 65 the files do not fit each other or are damaged, 66 one is missing, 69 --meteor and it cannot be had,
70 METEOR's program failed, 73 a file to write exists already or cannot be written.
`;

export function register(program: Command): void {
  program
    .command('evaluate')
    .description('score captions against the ones people wrote, as coco-caption does')
    .requiredOption('--annotations <file>', 'the captions people wrote, in COCO format')
    .requiredOption('--results <file>', 'the captions to score, in COCO results format')
    .option('--partial', 'score only the images that have a result')
    .option('--meteor', 'METEOR must be among the scores (default: it is where there is Java)')
    .option('--no-meteor', 'leave METEOR out')
    .option('--per-image [file]', "each image's scores too; to a new FILE as a JSON array, coco-caption's evalImgs")
    .option(
      '--write-results <file>',
      'write the captions scored to a new file as plain COCO results, for the official tools',
    )
    .option('--json', "print the scores as one JSON object, under coco-caption's names")
    .addHelpText('after', help)
    .action(async (options: EvaluateOptions) => {
      const { evaluate } = await import('../actions/evaluate.js');
      await evaluate(options);
    });
}
