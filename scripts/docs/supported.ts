import {
  dtypeTable,
  folderSection,
  loraSection,
  partTable,
  recognizedTables,
  singleFileTable,
} from './files.ts';
import { publishedModels } from './full-size-models.ts';
import { networkTable } from './networks.ts';
import { bitsTable, systemTable, targetTable } from './outputs.ts';

/** docs/supported.md: what it says was tried when it was written. Takes about as long as building 230 graphs. */
export async function supportedPage(): Promise<string> {
  const sections = [
    '# What is supported',
    `Written by \`npm run docs\`: the lists are the code’s own, and what the tables of networks, single files and bits say was
tried while the page was written. ✓ went well; ✗ was refused, and a number in brackets leads to the tool’s reason below the
table. It takes no weights: models are known here by the names and shapes of their tensors. Those of the networks come from
diffusers’ and transformers’ own classes (\`test/python/make_full_size_lists.py\`), those of single files from diffusers’
reading of them (\`test/python/record_single_file_names.py\`). Whether the numbers come out right is measured elsewhere, on
small models of the same kinds (\`test/goldens/README.md\`).

What a file of your own is, and what to do with it: \`sdconvert inspect FILE\`.`,

    '## Networks',
    `Each network at its real size, for each target and with each attention (\`--attention\`). The number is how many operations
its graph has. A ✓ also means that every tensor of the list has its place in the network and that none is missing. ONNX
graphs take any batch, height and width, with \`SPLIT_EINSUM_V2\` the checkpoint’s own size; Core ML graphs always have one
size. \`control-unet\` is the UNet that takes the residuals of ControlNets (\`--unet-support-controlnet\`).`,
    await networkTable(publishedModels()),

    '## What is read',
    '### Folders of diffusers',
    folderSection(),
    '### Single files',
    `Whole checkpoints in the names of the original code, with running averages (EMA) or without. What a UNet was trained for
shows in its shapes; each kind was opened as a file, and its UNet built.`,
    await singleFileTable(),
    'Parts in a file of their own, opened and built in the same way:',
    await partTable(),
    '### Files of weights',
    `safetensors, and PyTorch’s \`.ckpt\`, \`.bin\`, \`.pt\` and \`.pth\` (zip archives, and the pickles from before), told apart by
their first bytes. The types of their numbers:`,
    dtypeTable(),
    '### LoRAs',
    'Merged while the weights are written (`--lora FILE:SCALE`, several at once).',
    loraSection(),
    '### What is recognised',
    recognizedTables(),

    '## What is written',
    targetTable(),
    systemTable(),
    `The weights of UNets, text encoders and ControlNets may have fewer bits: palettes by \`convert --quantize-nbits\`, all of
these by \`sdconvert quantize\`. The numbers are the bits that a format took for a linear layer; – means that the option
changes nothing there.`,
    bitsTable(),
  ];
  return `${sections.map((section) => section.trim()).join('\n\n')}\n`;
}
