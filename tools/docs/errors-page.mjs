import { errorTable } from '@showtell/shared/errors.js';
import { cell, generated, table } from './markdown.mjs';

/** Facts that stand for themselves: whatever a message asks of them, it gets the fact's name in brackets. */
function placeholder(path) {
  const self = () => placeholder(path);
  return new Proxy(self, {
    get(_target, key) {
      if (key === Symbol.toPrimitive || key === 'toString') return () => `<${path}>`;
      if (key === Symbol.iterator) return [][Symbol.iterator].bind([placeholder(path)]);
      if (key === 'length') return 2;
      if (key === 'join') return () => `<${path}>`;
      if (key === 'map') return (each) => [each(placeholder(path))];
      return typeof key === 'string' && path === '' ? placeholder(key) : placeholder(path);
    },
  });
}

export function errorsPage() {
  const rows = Object.entries(errorTable).map(([code, { exit, text, remedy }]) => [
    `\`${code}\``,
    String(exit),
    cell(text(placeholder(''))),
    cell(remedy(placeholder(''))),
  ]);
  return `# Errors

${generated}

What showtell says when something fails on purpose, with the exit code of a command that ends by it. Codes follow
sysexits(3) where it has a fitting one: 64 usage, 65 data, 66 input missing, 69 service unavailable, 70 internal,
73 cannot create, 74 input/output, 75 try again, 78 configuration. showtell's own: 10 guard unmet, 11 stopped by a
person and resumable. With \`--json\` an error has its \`code\` from this table.

${table(['code', 'exit', 'says', 'what to do'], rows)}
`;
}
