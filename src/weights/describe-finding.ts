import { count } from '../text.ts';
import type { WeightFinding } from './examined-weight.ts';

/** What is wrong with a weight's numbers, behind its name: `3 NaN of 2,304 elements, the first at 5`. */
export function describeFinding(finding: WeightFinding): string {
  switch (finding.problem) {
    case 'non-finite': {
      const { nan, infinite, overflowing, first, elements } = finding;
      const counts = Object.entries({
        NaN: nan,
        infinite,
        'beyond float16’s 65504': overflowing,
      }).flatMap(([what, n]) => (n > 0 ? [`${n.toLocaleString('en')} ${what}`] : []));
      return `${counts.join(', ')} of ${count(elements, 'element')}, the first at ${first}`;
    }
    case 'constant':
      return `every element is ${finding.value}`;
    case 'huge':
      return `up to ${finding.value.toPrecision(3)}`;
  }
}
