import { numericFieldsOf } from '@showtell/shared/job/digest.js';
import { jobSchema } from '@showtell/shared/job/job.js';
import { presets } from '@showtell/shared/job/presets.js';
import { z } from 'zod';
import { cell, generated, table } from './markdown.mjs';

/** Bounds that zod states for every integer, and that say nothing of the field. */
const anyInteger = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];

/** The JSON Schema of a job file, for editors. */
export function jobJsonSchema() {
  const schema = z.toJSONSchema(jobSchema, { io: 'input', override: ({ jsonSchema }) => tidy(jsonSchema) });
  const { $schema, properties, ...rest } = schema;
  return {
    $schema,
    title: 'showtell job file',
    description: 'What `showtell train` trains. docs/job.md has the same as a page.',
    ...rest,
    properties: {
      preset: {
        type: 'string',
        enum: Object.keys(presets),
        description: 'A built-in job to begin with; the fields of this file go over its own.',
      },
      ...properties,
    },
  };
}

function tidy(schema) {
  if (anyInteger.includes(schema.maximum)) delete schema.maximum;
  if (anyInteger.includes(schema.minimum)) delete schema.minimum;
  // A group's default is that of its fields.
  if (schema.properties !== undefined) delete schema.default;
}

export function jobPage() {
  return `# The job file

${generated}

A run is a function of its job file: the same file on the same data gives the same parameters, bit for bit, whichever
workers come and go. The file is YAML. Whatever it does not say has the default below, which is im2txt's value where
im2txt has one. A field that is unknown, of the wrong type or impossible is an error that names the field; nothing is
adjusted silently.

    # yaml-language-server: $schema=docs/job.schema.json
    preset: demo                # optional: a built-in job to begin with
    seed: 7
    phases:
      joint: { steps: 600 }

\`docs/job.schema.json\` gives editors completion and these texts; \`examples/jobs/\` has whole files. On the command
line \`--set phases.joint.steps=600\` overrides one field, over file and preset.

**Numeric** fields decide the parameters' bits. They are hashed into the run, its workers and its checkpoints, and
cannot change on resume; \`showtell train --from\` forks a run with other ones. **Growing** ones are the phases' lengths:
they may grow on resume. **Operational** fields change nothing in the result and may change whenever a run resumes.

## Fields

${table(['field', 'default', 'values', 'kind', 'what it is'], fieldRows())}

## Presets

A preset differs from the defaults in these fields only.

${Object.entries(presets).map(presetSection).join('\n\n')}

**Next:** [data](data.md)
`;
}

function fieldRows() {
  const schema = z.toJSONSchema(jobSchema, { io: 'input', override: ({ jsonSchema }) => tidy(jsonSchema) });
  const numeric = [...numericFieldsOf(jobSchema.parse({})).keys()];
  return [...leaves(schema, '')].map(([path, field]) => [
    `\`${path}\``,
    'default' in field ? `\`${JSON.stringify(field.default)}\`` : '–',
    cell(valuesOf(field)),
    kindOf(path, numeric),
    cell(field.description ?? ''),
  ]);
}

function* leaves(schema, path) {
  for (const [name, field] of Object.entries(schema.properties)) {
    const at = path === '' ? name : `${path}.${name}`;
    const nullable = field.anyOf?.find(({ properties }) => properties !== undefined);
    if (nullable !== undefined) yield [at, field];
    if (field.properties !== undefined) yield* leaves(field, at);
    else if (nullable !== undefined) yield* leaves(nullable, at);
    else yield [at, field];
  }
}

function valuesOf(field) {
  if (field.anyOf !== undefined) return field.anyOf.map(valuesOf).join(' or ');
  if (field.enum !== undefined) return field.enum.join(', ');
  if (field.type === 'array') return `list of ${valuesOf(field.items)}`;
  if (field.type === 'object') return 'the fields below';
  const name = { integer: 'integer', number: 'number', string: 'text', boolean: 'true, false' }[field.type];
  if (name === undefined) return field.type ?? '';
  const low = field.minimum ?? field.exclusiveMinimum;
  const high = field.maximum ?? field.exclusiveMaximum;
  const bounds = [
    low === undefined ? '' : `${field.minimum === undefined ? '>' : '≥'} ${low}`,
    high === undefined ? '' : `${field.maximum === undefined ? '<' : '≤'} ${high}`,
  ].filter((bound) => bound !== '');
  return [name, ...bounds].join(' ').replace(/ ([<≤])/, ', $1');
}

/** @param numeric paths that the run's digest covers; a group that may be null stands for its fields, and they for it */
function kindOf(path, numeric) {
  if (['phases.decoderOnly.steps', 'phases.joint.steps'].includes(path)) return 'growing';
  if (path === 'model.encoder.weights') return "numeric: the file's SHA-256";
  const isNumeric = numeric.some((at) => at === path || at.startsWith(`${path}.`) || path.startsWith(`${at}.`));
  return isNumeric ? 'numeric' : 'operational';
}

const about = {
  im2txt:
    'im2txt as its guide trains it. It needs a trained encoder: `model.encoder.weights` must name a file, or `allowRandomWeights: true` must say that random values are meant.',
  demo: 'Synthetic scenes on two cores in minutes, from random values. Its batch-norm decay is 0.9, because moving averages at 0.9997 stay untrained for thousands of steps.',
};

function presetSection([name, values]) {
  const rows = [...flat(values, '')].map(([path, value]) => [`\`${path}\``, `\`${JSON.stringify(value)}\``]);
  return `### ${name}\n\n${about[name] ?? ''}\n\n${table(['field', 'value'], rows)}`;
}

function* flat(tree, path) {
  for (const [name, value] of Object.entries(tree)) {
    const at = path === '' ? name : `${path}.${name}`;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) yield* flat(value, at);
    else yield [at, value];
  }
}
