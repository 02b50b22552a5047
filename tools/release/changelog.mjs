/** What stands under "Unreleased", trimmed; empty where there is nothing. @throws Error without such a heading */
export function unreleased(changelog) {
  const found = /^## \[Unreleased\]\n(.*?)(?=^## \[|(?![^]))/ms.exec(changelog);
  if (found === null) throw new Error('CHANGELOG.md has no "## [Unreleased]"');
  return found[1].trim();
}

/** The changelog with that moved under the new version. @param date YYYY-MM-DD */
export function released(changelog, version, date) {
  return changelog.replace('## [Unreleased]\n', `## [Unreleased]\n\n## [${version}] - ${date}\n`);
}
