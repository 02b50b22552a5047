import { readFileSync } from 'node:fs';

/** pycocoevalcap's values; README.md says how they were made. */
function load(name: string): unknown {
  return JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
}

export const tokenizer = load('tokenizer.json') as {
  cases: { id: string; raw: string; tokenized: string }[];
  line_separator_probe: { separator: string; inputs: string[] }[];
};

export const captions = load('captions.json') as {
  datasets: {
    name: string;
    images: {
      id: string;
      references: string[];
      candidate: string;
      references_tokenized: string[];
      candidate_tokenized: string;
    }[];
  }[];
};

export type MetricName = 'Bleu_1' | 'Bleu_2' | 'Bleu_3' | 'Bleu_4' | 'ROUGE_L' | 'CIDEr';

export const scores = load('scores.json') as {
  datasets: {
    name: string;
    corpus: Record<MetricName, number>;
    images: (Record<MetricName, number> & { id: string })[];
  }[];
};

export const novelty = load('novelty.json') as {
  cases: {
    name: string;
    training: string[];
    generated: string[];
    training_tokenized: string[];
    generated_tokenized: string[];
    stats: {
      n_generated: number;
      n_exact_training: number;
      exact_training_fraction: number;
      distinct_1: number;
      distinct_2: number;
      vocabulary_size: number;
      mean_length: number;
    };
  }[];
};

/** A tokenised string of the files as tokens; an empty one has none. */
export function split(tokenized: string): string[] {
  return tokenized === '' ? [] : tokenized.split(' ');
}
