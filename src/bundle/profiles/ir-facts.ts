import type { DeclaredValue } from '../../formats/artifact.ts';
import { dtypeName, dtypes } from '../../weights/dtype.ts';

/** What an `openvino_model.xml` says of its model (OpenVINO IR 11). */
export interface IrFacts {
  readonly inputs: readonly DeclaredValue[];
  /** Names of all tensors: which are outputs only the edges say. */
  readonly names: readonly string[];
  /** Bytes that the `.bin` beside it must have. */
  readonly dataBytes: number;
}

/** Reads the layers of an IR, as OpenVINO's serializer writes them; what is no IR has no inputs. */
export function irFacts(xml: string): IrFacts {
  const inputs: DeclaredValue[] = [];
  const names: string[] = [];
  let dataBytes = 0;
  // A layer is everything up to the next: a pattern from tag to tag could read a damaged file again and again.
  for (const layer of xml.split('<layer ').slice(1)) {
    const own = attributes(layer.slice(0, layer.indexOf('>')));
    const ports = layer.split('<port ').slice(1).map(attributesOfTag);
    const tensors = ports.flatMap((port) => port.get('names')?.split(',') ?? []);
    for (const tensor of tensors) names.push(tensor);
    const data = attributesOfTag(layer.split('<data ', 2)[1] ?? '');
    if (own.get('type') === 'Parameter')
      inputs.push({
        name: tensors[0] ?? own.get('name') ?? '',
        dtype: dtypeOf(data.get('element_type') ?? ''),
        shape: shapeOf(data.get('shape') ?? ''),
      });
    if (own.get('type') === 'Const')
      dataBytes = Math.max(dataBytes, countIn(data.get('offset')) + countIn(data.get('size')));
  }
  return { inputs, names, dataBytes };
}

function attributesOfTag(text: string): ReadonlyMap<string, string> {
  return attributes(text.slice(0, text.indexOf('>')));
}

function attributes(tag: string): ReadonlyMap<string, string> {
  // From the beginning of a word on: within one, a long word would be read again and again.
  return new Map(
    [...tag.matchAll(/(?<!\w)(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]),
  );
}

/** A number of bytes; 0 for what is none. */
function countIn(text = ''): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  return Number.isSafeInteger(count) ? count : 0;
}

function dtypeOf(elementType: string): string {
  const dtype = dtypes.find((each) => each === elementType);
  return dtype ? dtypeName(dtype) : elementType;
}

/** `?,4,1..64` → `['?', 4, '1..64']`; a scalar's is empty. */
function shapeOf(text: string): (number | string)[] {
  return text === '' ? [] : text.split(',').map((size) => (/^\d+$/.test(size) ? Number(size) : size));
}
