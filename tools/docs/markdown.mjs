/** Note at the head of a page that a program prints. */
export const generated = '<!-- Printed by tools/docs.mjs: edit the table in the code, not this page. -->';

/** A text as a table's cell. */
export const cell = (text) =>
  String(text).replaceAll('|', '\\|').replaceAll('\n', '<br>').replaceAll('<', '&lt;').replaceAll('&lt;br>', '<br>');

export function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
