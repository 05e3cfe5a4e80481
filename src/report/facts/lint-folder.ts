import type { ClientCheck } from '../../bundle/check-clients.ts';
import type { Provenance } from '../../formats/provenance.ts';
import { describeFinding } from '../../weights/describe-finding.ts';
import type { CardFile, Lint } from '../card.ts';

/** What is wrong with the folder as it is: files, weights, and what clients would refuse. */
export function lintFolder(
  problems: readonly string[],
  files: readonly CardFile[],
  records: Provenance['artifacts'],
  clients: { readonly checks: readonly ClientCheck[]; readonly areNamed: boolean },
): Lint[] {
  return [
    ...problems.map((problem) =>
      fault('files-on-record', 'sdconvert.json', problem, 'Convert again with --force.'),
    ),
    ...files.flatMap(({ path, problem }) =>
      problem === null ? [] : [fault('readable', path, problem, 'Copy or convert it again.')],
    ),
    ...Object.entries(records).flatMap(([path, { findings = [] }]) =>
      findings.map((finding): Lint => {
        const isWrong = finding.problem === 'non-finite';
        return {
          ...fault('weights', path, `${finding.weight}: ${describeFinding(finding)}`, null),
          severity: isWrong ? 'fault' : 'warning',
        };
      }),
    ),
    ...clients.checks.flatMap(({ client, problems: refused, mend }) =>
      refused.map(
        (problem): Lint => ({
          ...fault(`verify --for ${client}`, client, problem, mend ?? null),
          // A client that nobody asked for is told of, and is no reason to fail.
          severity: clients.areNamed ? 'fault' : 'warning',
        }),
      ),
    ),
  ];
}

function fault(rule: string, where: string, problem: string, mend: string | null): Lint {
  return { rule, severity: 'fault', problem, where, since: null, source: 'this folder', mend };
}
