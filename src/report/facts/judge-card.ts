import { count } from '../../text.ts';
import { asDecibels, decibelText } from '../../validate/decibels.ts';
import type { Card } from '../card.ts';
import { commandAtFloor } from './command-at-floor.ts';

type Compared = NonNullable<Card['parity']>['models'][number];

/** What a verdict follows from. */
export interface Judged {
  readonly folder: string;
  readonly floor: number;
  readonly parity: Card['parity'];
  /** Name of the reference for a command; CHECKPOINT where nothing was compared. */
  readonly reference: string;
  readonly lint: Card['lint'];
}

/**
 * The verdict: it passes where every output of every model reached the floor and nothing is at fault. It names the floor at which
 * it would turn to fail – the lowest PSNR, rounded up to the next hundredth of a decibel – and the command that shows it.
 */
export function judgeCard({ folder, floor, parity, reference, lint }: Judged): Card['verdict'] {
  const faults = lint.filter(({ severity }) => severity === 'fault');
  const failed = parity?.models.filter(({ pass }) => !pass) ?? [];
  const reasons = [...failed.map(distance), ...faults.map(({ problem, where }) => `${where}: ${problem}`)];
  const numbers = parity?.models.map((model) => Number(model.lowest)) ?? [];
  const lowest = numbers.length === 0 ? null : Math.min(...numbers);
  const common = { floor, lowest: lowest === null ? null : asDecibels(lowest), reasons };
  if (reasons.length > 0) return { result: 'fail', sentence: failure(reasons), failsAt: null, ...common };
  if (!parity || lowest === null)
    return {
      result: 'not judged',
      sentence: 'Not judged: no model was compared with a reference.',
      failsAt: null,
      ...common,
    };
  const models = count(new Set(parity.models.map(({ paths }) => paths.join())).size, 'model');
  return {
    result: 'pass',
    sentence: `Pass: ${models}, every output ${nearness(lowest)} ${parity.reference} in float32 (floor ${floor} dB).`,
    failsAt: turn(folder, reference, lowest),
    ...common,
  };
}

/** How far a model is from its reference, where it does not pass. */
function distance({ network, format, arithmetic, lowest, outputs }: Compared): string {
  const model = `${network} (${format}${arithmetic === 'rounded' ? ', every operation rounded' : ''})`;
  return outputs.some(({ nonFinite }) => nonFinite > 0)
    ? `${model} or its reference has outputs that are not finite.`
    : `${model} is ${decibelText(lowest)} from its reference.`;
}

/** The least floor of whole hundredths that the lowest PSNR does not reach; none where all outputs are identical. */
function turn(folder: string, reference: string, lowest: number): Card['verdict']['failsAt'] {
  if (!Number.isFinite(lowest)) return null;
  const floor = (Math.floor(lowest * 100) + 1) / 100;
  return { floor, command: commandAtFloor(floor, folder, reference) };
}

function failure(reasons: readonly string[]): string {
  const [first = '', ...others] = reasons;
  return `Fail: ${first}${others.length > 0 ? ` And ${count(others.length, 'more reason')}.` : ''}`;
}

function nearness(lowest: number): string {
  return lowest === Number.POSITIVE_INFINITY
    ? 'identical to'
    : `at least ${decibelText(asDecibels(lowest))} from`;
}
