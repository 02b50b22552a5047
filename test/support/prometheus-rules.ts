import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export const rulesFile = 'deploy/prometheus/rules.yaml';

/** The rules of a parsed rule file. */
export function rulesOf(file: { groups: { rules: Rule[] }[] }): Rule[] {
  return file.groups.flatMap(({ rules }) => rules);
}

/** The text of a file of this repository. */
export function textOf(path: string): string {
  return readFileSync(path, 'utf8');
}
