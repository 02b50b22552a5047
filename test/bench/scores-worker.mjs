// Scores captions in a process of its own, as coco-caption's COCOEvalCap does: scores-worker.mjs ANNOTATIONS RESULTS
// Prints the seconds of reading and checking the files, and of tokenising and scoring what they hold.
import { readResults, tokenizeResults } from '@showtell/coordinator/evaluation/coco-results.js';
import { captionScores } from '@showtell/coordinator/evaluation/scores/caption-scores.js';

const [annotations, results] = process.argv.slice(2);
const start = performance.now();
const captions = await readResults({ annotations, results });
const loaded = performance.now();
captionScores(tokenizeResults(captions));
const scored = performance.now();
console.log(JSON.stringify({ loading: (loaded - start) / 1000, scoring: (scored - loaded) / 1000 }));
