import { spawnSync } from 'node:child_process';

const grave = ['high', 'critical'];

/**
 * What npm's registry knows against the packages of the lock file, as lines: all of what is installed with showtell, and of what
 * only builds and tests it what is grave. A registry that answers no such question is no fault.
 * @param {readonly { advisory: string, reason: string, date: string }[]} exceptions
 * @param {{ registry?: string }} options
 */
export function audit(root, exceptions, { registry } = {}) {
  const ask = (...more) => {
    const given = ['audit', '--json', '--fetch-retries=0', '--fetch-timeout=20000', ...more];
    if (registry !== undefined) given.push(`--registry=${registry}`);
    const { stdout, stderr } = spawnSync('npm', given, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1_048_576 });
    try {
      const report = JSON.parse(stdout);
      if (report.vulnerabilities !== undefined) return { report };
      return { why: report.error?.summary || report.message || 'no report came' };
    } catch {
      return { why: stderr.trim().split('\n').at(-1) || 'no report came' };
    }
  };
  const [shipped, all] = [ask('--omit=dev'), ask()];
  const why = shipped.why ?? all.why;
  if (why !== undefined) return { skipped: `the registry answers no audit (${why})`, faults: [] };
  const accepted = new Set(exceptions.map(({ advisory }) => advisory));
  const faults = [...lines(shipped.report, () => true), ...lines(all.report, (severity) => grave.includes(severity))];
  return { skipped: null, faults: [...new Set(faults)].filter((line) => !accepted.has(line.split(': ')[0])).sort() };
}

/** Of each advisory one line; packages that only depend on a faulty one are told by it. */
function lines({ vulnerabilities }, counts) {
  return Object.values(vulnerabilities).flatMap(({ via }) =>
    via
      .filter((each) => typeof each === 'object' && counts(each.severity))
      .map(
        ({ name, range, severity, title, url }) => `${url.split('/').at(-1)}: ${name} ${range}, ${severity}: ${title}`,
      ),
  );
}
