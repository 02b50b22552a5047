import { program } from '@showtell/coordinator/cli/program.js';
import { workerHelp } from '@showtell/worker/options.js';
import { cell, table } from './markdown.mjs';

const region = /<!-- help: ([a-z -]+) -->\n[\s\S]*?<!-- end -->/g;

/**
 * docs/cli.md with each `<!-- help: COMMAND -->` … `<!-- end -->` filled from the command's own help; the prose between
 * is people's.
 *
 * @throws when a command has no such place, or a place no command
 */
export async function cliPage(current) {
  const commands = new Map(leafCommands(await program(), ''));
  const seen = new Set();
  const page = current.replaceAll(region, (_whole, name) => {
    const command = commands.get(name);
    if (command === undefined) throw new Error(`docs/cli.md has a place for "${name}", which is no command`);
    seen.add(name);
    return `<!-- help: ${name} -->\n\n### ${name}\n\n${name === 'worker' ? textBlock(workerHelp) : commandHelp(command, name)}\n\n<!-- end -->`;
  });
  const missing = [...commands.keys()].filter((name) => !seen.has(name));
  if (missing.length > 0) throw new Error(`docs/cli.md has no "<!-- help: … -->" for: ${missing.join(', ')}`);
  return page;
}

function* leafCommands(command, prefix) {
  for (const sub of command.commands) {
    const name = `${prefix}${sub.name()}`;
    if (sub.commands.length > 0) yield* leafCommands(sub, `${name} `);
    else yield [name, sub];
  }
}

function commandHelp(command, name) {
  const help = command.createHelp();
  const rows = [
    ...help
      .visibleArguments(command)
      .map((argument) => [
        `\`${argument.required ? `<${argument.name()}>` : `[${argument.name()}]`}\``,
        cell(help.argumentDescription(argument)),
      ]),
    ...help
      .visibleOptions(command)
      .filter((option) => option.long !== '--help')
      .map((option) => [
        `\`${option.flags.replaceAll('|', '\\|')}\``,
        `${option.mandatory ? '(required) ' : ''}${cell(describe(help, option))}`,
      ]),
  ];
  let after = '';
  command.emit('afterHelp', { error: false, command, write: (text) => (after += text) });
  return [
    `\`showtell ${name}\`: ${help.commandDescription(command)}.`,
    rows.length === 0 ? '' : table(['argument or option', 'what it is'], rows),
    after.trim() === '' ? '' : textBlock(after),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** An option's help; the default number of threads is this machine's. */
function describe(help, option) {
  const text = help.optionDescription(option);
  return option.long === '--threads' ? text.replace(/\(default: \d+\)/, '(default: one a core)') : text;
}

const textBlock = (text) => `\`\`\`text\n${text.trim()}\n\`\`\``;
