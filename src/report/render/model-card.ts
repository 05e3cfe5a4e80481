import { stringify } from 'yaml';
import { targetNames, targetOfFormat } from '../../formats/format.ts';
import { formatBytes, onOneLine } from '../../text.ts';
import { decibelText } from '../../validate/decibels.ts';
import type { Card } from '../card.ts';

/** By this line a model card is known as sdconvert's own, which may be replaced. */
export const OWN_MODEL_CARD = '<!-- written by sdconvert report -->';

/** The report card as a model card of the Hub: front matter that the Hub reads, and the facts in short. */
export function modelCard(card: Card): string {
  const { identity, verdict, files, parity, notChecked } = card;
  const title = identity.name ?? card.folder;
  const source = identity.hub.map(
    ({ repo, commit }) => `[${plain(repo)}](https://huggingface.co/${encodeURI(repo)}) at ${code(commit)}`,
  );
  return [
    '---',
    stringify(frontMatter(card)).trimEnd(),
    '---',
    OWN_MODEL_CARD,
    '',
    `# ${plain(title)}, converted`,
    '',
    `${plain(verdict.sentence)}${verdict.failsAt ? ` The verdict would turn to fail at a floor of ${verdict.failsAt.floor.toFixed(2)} dB.` : ''}`,
    '',
    `Converted by sdconvert ${card.sdconvert} from ${source.join(', ') || plain(title)}${identity.family ? `, ${plain(identity.family)}` : ''}. The whole report is in \`report.html\`, its numbers in \`report.json\`.`,
    ...(identity.command ? ['', ...fenced(identity.command)] : []),
    ...(identity.commandNote ? ['', plain(identity.commandNote)] : []),
    ...(identity.licence ? [] : ['', 'The licence is that of the checkpoint.']),
    ...section('Files', [
      ['model', 'size', 'stored as', 'needs'],
      ...files.map(({ path, byteLength, weights, needs }) => [
        plain(path),
        formatBytes(byteLength),
        plain(
          weights
            .slice(0, 2)
            .map(({ stored }) => stored)
            .join(', '),
        ),
        plain(needs ?? ''),
      ]),
    ]),
    ...(parity
      ? section('Distance from float32', [
          ['model', 'arithmetic', 'lowest', 'median'],
          ...parity.models.map(({ network, format, arithmetic, lowest, median }) => [
            plain(`${network} (${format})`),
            arithmetic === 'rounded' ? 'every operation rounded to float16' : 'as the runtime computes',
            decibelText(lowest),
            decibelText(median),
          ]),
        ])
      : []),
    ...section('Not checked', [
      ['what', 'why', 'command'],
      ...notChecked.map(({ what, why, command }) => [plain(what), plain(why), command ? code(command) : '']),
    ]),
    '',
  ].join('\n');
}

/** What the Hub reads: https://huggingface.co/docs/hub/model-cards. */
function frontMatter({ identity, files }: Card): Readonly<Record<string, unknown>> {
  const targets = new Set(files.map(({ format }) => targetOfFormat[format]));
  const { licence, hub, task } = identity;
  const hasFewBits = files.some(({ weights }) =>
    weights.some(({ stored, bits }) => bits < 16 && (bits < 8 || !stored.startsWith('int'))),
  );
  return {
    ...(hub.length > 0 && { base_model: hub.map(({ repo }) => repo) }),
    ...(hub.length > 0 && hasFewBits && { base_model_relation: 'quantized' }),
    library_name: targetNames.find((target) => targets.has(target)),
    ...(licence && {
      license: licence.id,
      ...(licence.name && { license_name: licence.name }),
      ...(licence.link && { license_link: licence.link }),
    }),
    pipeline_tag: task === null || task.startsWith('text') ? 'text-to-image' : 'image-to-image',
    tags: ['stable-diffusion', ...targets, 'sdconvert'],
  };
}

/** A table of Markdown: in a cell, a bar would end it even within code. */
function section(title: string, rows: readonly (readonly string[])[]): string[] {
  const [head = '', ...body] = rows.map(
    (row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`,
  );
  const rule = `|${rows[0]?.map(() => '---').join('|')}|`;
  return ['', `## ${title}`, '', head, rule, ...body];
}

/** Somebody's text, of which nothing is markup of Markdown or HTML. */
function plain(text: string): string {
  return onOneLine(text).replaceAll(/[\\`*_[\]<>#&~]/g, (sign) => `\\${sign}`);
}

/** Code in a line. Spaces keep a backtick at an end apart: https://spec.commonmark.org/0.31.2/#code-spans. */
function code(text: string): string {
  const line = onOneLine(text);
  const ticks = moreBackticks(line, 1);
  const space = /^`|`$/.test(line) ? ' ' : '';
  return `${ticks}${space}${line}${space}${ticks}`;
}

/** A command in lines of its own. */
function fenced(command: string): string[] {
  const line = onOneLine(command);
  const fence = moreBackticks(line, 3);
  return [`${fence}sh`, line, fence];
}

/** More backticks than stand in a row in a text: they end what no fewer can. */
function moreBackticks(text: string, fewest: number): string {
  const longest = Math.max(0, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
  return '`'.repeat(Math.max(fewest, longest + 1));
}
