import {
  decodeModel,
  EXTERNAL,
  encodeModel,
  type ModelProto,
  type TensorProto,
} from '../../src/formats/onnx/proto.ts';
import type { Mutator } from '../format.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import { oddNumberText, oddTexts } from '../mutate-text.ts';

/** Changes where an ONNX model says that its tensors lie: places, sizes, sharing, order, many of them. */
export const mutateExternalData: Mutator = (bytes, random) => {
  const proto = decoded(bytes);
  if (!proto) return mutateBytes(bytes, random);
  const tensors = proto.graph?.initializer ?? [];
  const external = tensors.filter(({ dataLocation }) => dataLocation === EXTERNAL);
  if (external.length === 0) return mutateBytes(bytes, random);
  const tensor = random.pick(external);
  const entry = random.pick(
    tensor.externalData?.length ? tensor.externalData : [{ key: 'location', value: '' }],
  );
  const change = random.pick<() => Partial<TensorProto>>([
    () => ({ externalData: [...(tensor.externalData ?? []), { ...entry, value: oddNumberText(random) }] }),
    () => ({ externalData: (tensor.externalData ?? []).filter((each) => each !== entry) }),
    () => ({ externalData: random.pick(external).externalData ?? [] }),
    () => ({
      externalData: [{ key: 'location', value: random.pick([...oddTexts, 'model.onnx', '.', 'a/../b']) }],
    }),
    () => ({ dims: [Number(oddNumberText(random)) || 0] }),
    () => ({ dataType: random.below(30) }),
    () => ({ name: random.pick(external).name ?? '' }),
  ]);
  const changed = { ...tensor, ...change() };
  const count = random.oneIn(4) ? random.length(3000) : 1;
  const copies = Array.from({ length: count }, (_, n) =>
    n === 0 ? changed : { ...changed, name: `${tensor.name}${n}` },
  );
  const rest = random.oneIn(3) ? tensors.toReversed() : tensors;
  const initializer = rest.flatMap((each) => (each === tensor ? copies : [each]));
  try {
    return encodeModel({ ...proto, graph: { ...proto.graph, initializer } });
  } catch {
    return mutateBytes(bytes, random); // a size that no message can hold
  }
};

function decoded(bytes: Uint8Array): ModelProto | undefined {
  try {
    return decodeModel(bytes);
  } catch {
    return undefined; // changed before
  }
}
