import { expect, test } from 'vitest';
import yargs from 'yargs';
import { readCommandLine, unknownOptions } from '../../cli/command-line.ts';
import { commands } from '../../cli/commands.ts';
import { declaredNames } from '../../cli/declared-options.ts';

/** Every option of Apple's programs that have a counterpart here (facts: ml-stable-diffusion 1.1.0). */
const lines = [
  `torch2coreml --convert-text-encoder --convert-vae-decoder --convert-vae-encoder --convert-unet --convert-mmdit
   --convert-safety-checker --convert-controlnet a/b c/d --model-version a/b --refiner-version a/c --custom-vae-version a/d
   --compute-unit ALL --latent-h 64 --latent-w 64 --text-token-sequence-length 77 --text-encoder-hidden-size 768
   --attention-implementation ORIGINAL -o out --check-output-correctness --chunk-unet --quantize-nbits 6
   --unet-support-controlnet --unet-batch-one --include-t5 --bundle-resources-for-swift-cli
   --text-encoder-vocabulary-url u --text-encoder-merges-url u --text-encoder-t5-url u --text-encoder-t5-config-url u
   --text-encoder-t5-data-url u --min-deployment-target macOS14 --xl-version --sd3-version`,
  `pipeline --prompt p -i in -o out --seed 93 --model-version a/b --compute-unit ALL --scheduler DPMSolverMultistep
   --num-inference-steps 50 --guidance-scale 7.5 --controlnet a/b --controlnet-inputs x.png --negative-prompt n
   --unet-batch-one --model-sources packages`,
  'chunk_mlprogram --mlpackage-path X.mlpackage -o out --remove-original --check-output-correctness --merge-chunks-in-pipeline-model',
  `mixed_bit_compression_apply -o Y.mlpackage --mlpackage-path X.mlpackage --pre-analysis-json-path r.json
   --selected-recipe recipe_4.50_bit`,
  `StableDiffusionSample prompt --negative-prompt n --resource-path in --xl --sd3 --image x.png --strength 0.5 --image-count 1
   --step-count 50 --save-every 0 --output-path out --seed 1 --guidance-scale 7.5 --compute-units all --scheduler pndm
   --rng numpy --controlnet a --controlnet-inputs x.png --disable-safety --reduce-memory --use-multilingual-text-encoder
   --script latin`,
].map((line) => line.split(/\s+/));

test.each(lines)('every option of Apple’s %s is known', async (...line) => {
  const args = readCommandLine(line);
  const listed = commands.find(({ name }) => name === args[0]);
  const command = await listed?.load();
  const declared = command?.options(yargs(), { all: true }) ?? {};
  expect(unknownOptions(args, declaredNames(declared))).toEqual([]);
});
