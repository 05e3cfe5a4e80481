import { expect, test } from 'vitest';
import { wouldRefuse } from '../../cli/commands/verify.ts';

test('what no command mends is said to be so', () => {
  const result = { path: 'out', files: 0, bytes: 0, problems: ['coreai: x', 'swift: y'] };
  const coreai = { client: 'coreai', folder: 'out/CoreAI', problems: ['x'] } as const;
  const swift = {
    client: 'swift',
    folder: 'out/Resources',
    problems: ['y'],
    mend: 'sdconvert bundle out --for swift',
  } as const;
  expect(wouldRefuse({ ...result, clients: [coreai] }).advice).toBe(
    'What coreai would refuse is the checkpoint’s own: no conversion mends it.',
  );
  expect(wouldRefuse({ ...result, clients: [coreai, swift] }).advice).toBe(
    'What coreai would refuse is the checkpoint’s own: no conversion mends it. To mend it: sdconvert bundle out --for swift',
  );
});
