import { OutputExistsError } from '../errors.ts';
import { exists, writeText } from '../io/disk.ts';
import { inRepository } from '../version.ts';

/** A manifest that shows what there is; what is commented out shows the rest. */
export const exampleManifest = `# What sdconvert batch converts. Paths start from the folder of this file.
# Run it:      sdconvert batch batch.yaml
# Every key:   ${inRepository('docs/batch.md')}

# Where results go: converted/<checkpoint>/<variant>.
output: converted

# Options of all variants.
options:
  targets: [onnx]                 # onnx, coreml, coreai; the first two when left out
  # clients: [optimum, openvino]  # programs to write for; alone, they choose the targets
  # precision: float16            # float32, float16, float16-weights
  # reference: float32            # what results are compared with: the checkpoint itself in float32,
                                  # a path, or none

# What is made of each checkpoint: a name, and options of its own.
variants:
  float16:
    floor: 40                  # dB: the batch fails where any output of any model is further away
  palette-6:
    bits: 6                    # 1, 2, 3, 4, 6 or 8 in palettes; with mode: linear 4 or 8
    floor: 20

# The checkpoints: folders, files, or models on the Hub.
sources:
  - stable-diffusion-v1-5/stable-diffusion-v1-5
  # - ./checkpoints/dreamshaper.safetensors
  # - source: org/name
  #   name: my-name            # folder of its results
  #   revision: main           # a branch, tag or commit; files on the disk have sha256 instead
  #   weights: fp16            # which of several weight files
  #   vae: ./vae.safetensors   # as do refiner, controlnets: [ … ], loras: [ style.safetensors:0.7 ]
  #   variants: [float16]      # not all of them
`;

/** Writes the example. Throws `OutputExistsError` where there is a file already. */
export async function writeExampleManifest(path: string): Promise<void> {
  if (await exists(path))
    throw new OutputExistsError({
      problem: `${path} already exists.`,
      advice: 'Name another file: sdconvert batch --init other.yaml',
    });
  await writeText(path, exampleManifest);
}
