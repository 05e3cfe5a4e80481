import { describe, expect, expectTypeOf, test } from 'vitest';
import { contractNames } from '../../src/convert/contracts/contract.ts';
import { type InputPort, type NetworkCard, type Port, portForm } from '../../src/convert/networks/card.ts';
import {
  cardOf,
  type NetworkKind,
  type NetworkPart,
  networkKinds,
} from '../../src/convert/networks/networks.ts';

describe.each(networkKinds)('the card of %s', (kind) => {
  const card = cardOf(kind);

  test('gives every contract at least an input and an output, each name once', () => {
    for (const contract of contractNames) {
      for (const ports of [card.inputs, card.outputs]) {
        const names = namesIn(ports, contract);
        expect(names.length).toBeGreaterThan(0);
        expect(new Set(names).size).toBe(names.length);
      }
    }
  });

  test('is told by inputs that it has', () => {
    const names = contractNames.flatMap((contract) => namesIn(card.inputs, contract));
    expect(names).toEqual(expect.arrayContaining([...card.marks]));
    expect(card.marks.length).toBeGreaterThan(0);
  });

  test('goes with a network that there is, and is named by one', () => {
    expect(networkKinds).toContain(card.part);
    if (card.like !== undefined) expect(networkKinds).toContain(card.like);
  });

  test('says of every input and output that Core ML shows what it is', () => {
    const ports: Port[] = [...Object.values(card.inputs), ...Object.values(card.outputs)];
    const silent = ports.filter(({ apple, text }) => apple !== null && text === null);
    // A UNet's residuals are a ControlNet's outputs, which say it.
    expect(silent).toHaveLength(kind === 'control-unet' ? 1 : 0);
  });
});

test('what two networks are called by, only one of them is', () => {
  const names = networkKinds.flatMap((kind) => cardOf(kind).swiftName ?? []);
  expect(new Set(names).size).toBe(names.length);
});

test('a fact that is missing does not compile', () => {
  const port = { optimum: 'sample', apple: 'x', axes: ['batch'], text: 'The picture' } as const;
  expectTypeOf(port).toExtend<InputPort>();
  expectTypeOf<Omit<typeof port, 'apple'>>().not.toExtend<InputPort>();
  expectTypeOf<Omit<typeof port, 'text'>>().not.toExtend<InputPort>();
  expectTypeOf<Omit<typeof port, 'axes'>>().not.toExtend<InputPort>();
  type Fact =
    | 'title'
    | 'part'
    | 'shortDescription'
    | 'swiftName'
    | 'fewerBits'
    | 'marks'
    | 'settings'
    | 'ignored'
    | 'cases';
  type Optional = { [F in Fact]: Omit<NetworkCard, F> extends NetworkCard ? F : never }[Fact];
  expectTypeOf<Optional>().toBeNever();
  expectTypeOf<NetworkPart>().toExtend<NetworkKind>();
});

/** The names of ports in a contract, of those in a row the first two and the last. */
function namesIn(ports: Readonly<Record<string, Port>>, contract: (typeof contractNames)[number]): string[] {
  return Object.values(ports).flatMap((port) => {
    const name = portForm(port, contract)?.name ?? [];
    return typeof name === 'function' ? [name(0, 3), name(1, 3), name(2, 3)] : name;
  });
}
