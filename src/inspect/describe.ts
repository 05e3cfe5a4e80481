import type { LoraFacts } from '../checkpoint/lora/describe-lora.ts';
import type { DeclaredValue, FactLines, FormatRoom } from '../formats/artifact.ts';
import type { Format } from '../formats/format.ts';
import { formats } from '../formats/open.ts';
import { asName } from '../io/error-text.ts';
import { alignColumns, count, formatBytes, onOneLine, printable } from '../text.ts';
import { describeFinding } from '../weights/describe-finding.ts';
import { sumOf, type WeightGroup } from '../weights/weight-groups.ts';
import type {
  ArtifactInspection,
  ArtifactsInspection,
  CheckpointInspection,
  Inspection,
  ModelInspection,
  OtherInspection,
  PictureInspection,
  WeightsInspection,
} from './inspection.ts';

/** An inspection as text for a person: at most about 40 lines, the last of which says what to do next. */
export function describe(inspection: Inspection): string {
  const problems = atMost(10, inspection.problems).join('\n');
  const paragraphs = describeKind(inspection);
  const { next } = inspection;
  const where = 'where' in next && next.where ? `\n${next.where}` : '';
  const last = 'command' in next ? `Next: ${next.command}${where}` : next.advice;
  const all = inspection.kind === 'other' ? [problems, ...paragraphs] : [...paragraphs, problems];
  return [...all, last].filter((paragraph) => paragraph !== '').join('\n\n');
}

/** Paragraphs; empty ones are left out. */
function describeKind(inspection: Inspection): string[] {
  switch (inspection.kind) {
    case 'checkpoint':
      return describeCheckpoint(inspection);
    case 'weights':
      return describeWeights(inspection);
    case 'artifacts':
      return describeArtifacts(inspection);
    case 'picture':
      return describePicture(inspection);
    case 'other':
      return describeOther(inspection);
    default:
      return describeModel(inspection);
  }
}

function describeCheckpoint(checkpoint: CheckpointInspection): string[] {
  const { family, task, predictionType, pipeline, latentSize, pictureSize } = checkpoint;
  const facts = {
    checkpoint: checkpoint.path,
    format: formatText(checkpoint.format),
    family: [family ?? 'not known', task, predictionType && `predicts ${predictionType}`],
    pipeline,
    scheduler: schedulerTexts(checkpoint),
    pictures: pictureSize && [`${area(pictureSize)} pixels`, latentSize && `latents ${area(latentSize)}`],
    variants: checkpoint.variants,
    missing: checkpoint.missing,
  };
  const components = checkpoint.components.toSorted((a, b) => b.byteLength - a.byteLength);
  const total = sumOf(components.flatMap(({ weights }) => weights));
  const rows = components.map(({ name, className, weights, ...sums }) => [
    name,
    className,
    ...sumCells(sums),
    stored(weights),
  ]);
  const networks = checkpoint.networks.map(({ name, problem }) => [
    name,
    problem === null ? 'its graph builds' : `its graph does not build: ${problem}`,
  ]);
  return [
    factLines(facts),
    rows.length === 0
      ? ''
      : alignColumns([
          ['component', 'class', ...sumHeadings, 'stored as'],
          ...rows,
          ['', 'all', ...sumCells(total)],
        ]),
    alignColumns(networks),
    atMost(10, checkpoint.notes).join('\n'),
  ];
}

/** What of a picture's texts is shown: they may come from anybody, and be of any length. */
const [MOST_TEXTS, MOST_LINES, LONGEST_PICTURE_TEXT] = [6, 20, 8000];

function describePicture({ path, width, height, texts }: PictureInspection): string[] {
  const entries = Object.entries(texts);
  const paragraphs = entries.slice(0, MOST_TEXTS).map(([keyword, text]) => {
    // Indented, no line of theirs passes for one of ours.
    const lines = printable(text, LONGEST_PICTURE_TEXT).split('\n', MOST_LINES);
    return [onOneLine(keyword), ...lines.map((line) => `  ${line}`)].join('\n');
  });
  const more = entries.length - paragraphs.length;
  return [
    factLines({ picture: path, pixels: `${width} × ${height}` }),
    ...paragraphs,
    more > 0 ? `… and ${count(more, 'text')} more` : '',
  ];
}

function describeWeights(file: WeightsInspection): string[] {
  const facts = {
    weights: file.path,
    format: formatText(file.format),
    'looks like': file.what,
    family: file.family,
    ...(file.lora && loraLines(file.lora)),
    class: file.className,
    files: file.files.length > 1 ? `${file.files.length} shards` : null,
  };
  return [
    factLines(facts),
    metadataTable(file.metadata),
    weightTable(file.weights),
    valueTable('tensor', file.values),
  ];
}

/** File format, where it may worry a user; else `null`. */
function formatText(format: CheckpointInspection['format']): string | null {
  return format === 'PyTorch' ? 'PyTorch (read as data: nothing in it was run)' : null;
}

function loraLines({ format, kinds, decomposed, ranks, networks, baseModel, unknown }: LoraFacts) {
  return {
    LoRA: [
      `names of ${format}`,
      kinds.join(', '),
      decomposed ? 'DoRA' : null,
      ranks.length > 0 ? `rank ${ranks.join(', ')}` : null,
    ],
    changes: Object.entries(networks).map(([network, weights]) => `${network} (${count(weights, 'weight')})`),
    'made for': baseModel,
    'not understood': unknown.length > 0 ? count(unknown.length, 'tensor') : null,
  };
}

function describeModel<F extends Format>(model: ModelInspection<F>): string[] {
  const room: FormatRoom<F> = formats[model.kind];
  const facts = {
    [room.heading]: model.path,
    network: model.network && [model.network, model.chunk && `chunk ${model.chunk}`],
    ...room.describe(model),
    files: model.files
      .toSorted((a, b) => b.byteLength - a.byteLength)
      .slice(0, 4)
      .map(({ name, byteLength }) => `${name} ${formatBytes(byteLength)}`),
  };
  const inputs = model.inputs.map((value) => ['input', ...valueCells(value)]);
  const outputs = model.outputs.map((value) => ['output', ...valueCells(value)]);
  return [
    factLines(facts),
    metadataTable(model.metadata),
    alignColumns([...atMostRows(6, inputs), ...atMostRows(6, outputs)]),
    weightTable(model.weights),
    operationLines(model.operations),
  ];
}

function describeArtifacts(inspection: ArtifactsInspection): string[] {
  const { path, sdconvert, artifacts } = inspection;
  const facts = {
    folder: path,
    'written by': sdconvert && `sdconvert ${sdconvert}`,
    scheduler: schedulerTexts(inspection),
  };
  const rows = artifacts
    .toSorted((a, b) => b.byteLength - a.byteLength)
    .map((artifact) => [
      artifact.path,
      artifact.format,
      formatBytes(artifact.byteLength),
      ['attention', 'precision'].map((key) => asName(artifact.options?.[key] ?? '')).join(' '),
    ]);
  return [
    factLines(facts),
    alignColumns([['model', 'format', 'size', 'made with'], ...atMostRows(24, rows)]),
    atMost(5, artifacts.flatMap(describeFindings)).join('\n'),
  ];
}

/** The scheduler and those that can replace it. */
function schedulerTexts({
  scheduler,
  compatibleSchedulers,
}: Pick<CheckpointInspection, 'scheduler' | 'compatibleSchedulers'>): (string | null)[] {
  return [scheduler, compatibleSchedulers.length > 0 ? `or ${compatibleSchedulers.join(' ')}` : null];
}

function describeFindings({ path, findings = [] }: ArtifactInspection): string[] {
  return findings.map((finding) => `${path}: ${finding.weight}: ${describeFinding(finding)}`);
}

function describeOther({ details }: OtherInspection): string[] {
  return [alignColumns(Object.entries(details).slice(0, 8))];
}

/** `label  text` lines; unknown and empty facts are left out. */
function factLines(facts: FactLines): string {
  const rows = Object.entries(facts).flatMap(([label, fact]) => {
    const text = [fact].flat().filter(Boolean).join(', ');
    return text === '' ? [] : [[label, text]];
  });
  return alignColumns(rows);
}

const sumHeadings = ['tensors', 'parameters', 'size'];

function sumCells({ tensors, parameters, byteLength }: Omit<WeightGroup, 'stored' | 'bits'>): string[] {
  return [tensors.toLocaleString('en'), parameters.toLocaleString('en'), formatBytes(byteLength)];
}

/** Table of the stored types of weights. */
function weightTable(groups: readonly WeightGroup[]): string {
  if (groups.length === 0) return '';
  const rows = groups.map((group) => [group.stored, ...sumCells(group)]);
  const total = groups.length > 1 ? [['all', ...sumCells(sumOf(groups))]] : [];
  return alignColumns([['weights', ...sumHeadings], ...rows, ...total]);
}

/** Stored types of a component's weights, with the number of weights where there are several. */
function stored(groups: readonly WeightGroup[]): string {
  const [only, second] = groups;
  if (only && !second) return only.stored;
  return groups.map((group) => `${group.stored} (${group.tensors.toLocaleString('en')})`).join(', ');
}

function valueTable(heading: string, values: readonly DeclaredValue[]): string {
  if (values.length === 0) return '';
  return alignColumns([[heading, 'dtype', 'shape'], ...atMostRows(12, values.map(valueCells))]);
}

function valueCells({ name, dtype, shape }: DeclaredValue): string[] {
  return [name, dtype, shape ? `[${shape.join(', ')}]` : 'of any shape'];
}

/** The most frequent operations, in lines of at most about 100 characters. */
function operationLines(operations: Readonly<Record<string, number>>): string {
  const entries = Object.entries(operations);
  const total = entries.reduce((sum, [, number]) => sum + number, 0);
  const lines = [`${count(total, 'operation')}:`];
  for (const text of atMost(
    24,
    entries.map(([type, number]) => `${type} ${number}`),
  )) {
    const line = lines.at(-1) ?? '';
    if (line.length + text.length > 100) lines.push(`  ${text}`);
    else lines[lines.length - 1] = `${line}  ${text}`;
  }
  return lines.join('\n');
}

/** The first few entries of metadata; one may hold thousands of characters. */
function metadataTable(metadata: Readonly<Record<string, string>>): string {
  const rows = Object.entries(metadata).map(([key, text]) => [key, excerpt(text)]);
  return rows.length === 0 ? '' : alignColumns([['metadata', ''], ...atMostRows(6, rows)]);
}

function excerpt(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

function atMost(most: number, texts: readonly string[]): string[] {
  if (texts.length <= most) return texts.map((text) => onOneLine(text));
  return [
    ...texts.slice(0, most - 1).map((text) => onOneLine(text)),
    `… and ${texts.length - most + 1} more`,
  ];
}

function atMostRows(most: number, rows: readonly (readonly string[])[]): (readonly string[])[] {
  if (rows.length <= most) return [...rows];
  return [...rows.slice(0, most - 1), [`… and ${rows.length - most + 1} more`]];
}

function area([height, width]: readonly [number, number]): string {
  return `${height}×${width}`;
}
