/**
 * Whether an SPDX expression can be met by allowed licences: of `A OR B` one, of `A AND B` both, `A WITH E` as it is written.
 * @param {string} expression @param {(licence: string) => boolean} isAllowed
 * @throws SyntaxError
 */
export function satisfies(expression, isAllowed) {
  const tokens = expression.match(/[()]|[^\s()]+/g) ?? [];
  const next = () => tokens.shift() ?? '';
  const either = () => {
    let met = both();
    while (tokens[0] === 'OR') {
      next();
      met = both() || met;
    }
    return met;
  };
  const both = () => {
    let met = one();
    while (tokens[0] === 'AND') {
      next();
      met = one() && met;
    }
    return met;
  };
  const one = () => {
    const token = next();
    if (token === '(') {
      const met = either();
      if (next() !== ')') throw new SyntaxError(`"${expression}" has a bracket too many`);
      return met;
    }
    if (token === '' || token === ')' || token === 'OR' || token === 'AND')
      throw new SyntaxError(`"${expression}" is no SPDX expression`);
    if (tokens[0] !== 'WITH') return isAllowed(token);
    next();
    return isAllowed(`${token} WITH ${next()}`);
  };
  const met = either();
  if (tokens.length > 0) throw new SyntaxError(`"${expression}" is no SPDX expression`);
  return met;
}
