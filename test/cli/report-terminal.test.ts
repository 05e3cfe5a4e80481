import { expect, test } from 'vitest';
import { describeCard } from '../../cli/commands/report.ts';
import { exampleCard } from '../report/example-card.ts';

test('the command that shows the failure can be run as it is printed: it names the places that were given', () => {
  const given = { folder: './results/out', reference: '/models/sd shapes' };
  expect(describeCard(exampleCard(), [], given)).toContain(
    "at a floor of 34.51 dB: sdconvert report ./results/out --reference '/models/sd shapes' --min-psnr 34.51",
  );
});
