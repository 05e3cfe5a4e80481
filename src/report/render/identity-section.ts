import type { Card } from '../card.ts';
import { html, type Inserted, link } from './markup.ts';
import { commandLine, facts, type Section, table } from './table.ts';

/** What the models are made of, and how to make them again. */
export function identitySection({ identity }: Card): Section {
  const { name, hub, family, task, recognised, prediction, scheduler, loras, licence, recipe } = identity;
  return {
    id: 'identity',
    title: 'Identity',
    body: html`${facts([
      ['Checkpoint', name],
      [
        'From the Hub',
        hub.length > 0 &&
          hub.map(
            ({ repo, commit }) =>
              html`<div><a href="https://huggingface.co/${repo}/tree/${commit}">${repo}</a> at <code>${commit}</code></div>`,
          ),
      ],
      ['Family', html`${family ?? 'not known'} <span class="quiet">(${recognised})</span>`],
      ['Task', task],
      ['Predicts', prediction],
      ['Scheduler', scheduler],
      [
        'LoRAs',
        loras.length === 0
          ? 'none'
          : loras.map(
              (lora) =>
                html`<div>${lora.name} × ${lora.scale} <code class="hash">${lora.sha256}</code></div>`,
            ),
      ],
      ['Licence', licence ? licenceText(licence) : html`not known here: that of the checkpoint`],
    ])}
<h3>The command that makes it again</h3>
${identity.command === null ? '' : commandLine(identity.command)}
${identity.commandNote && html`<p class="quiet">${identity.commandNote}</p>`}
${
  recipe.length > 0 &&
  table(
    'Recipe: the options that the models were made with',
    ['Option', 'Value', 'Of'],
    recipe.map(({ option, value, of }) => [option, html`<code>${value}</code>`, of]),
  )
}
${identity.files.length > 0 && sources(identity.files)}`,
  };
}

function licenceText({ id, name, link: address, from }: NonNullable<Card['identity']['licence']>): Inserted {
  const text = name ?? id;
  return html`${link(address, text)} <span class="quiet">(from ${from})</span>`;
}

function sources(files: Card['identity']['files']): Inserted {
  const rows = files.map(({ name, sha256 }) => [name, html`<code class="hash">${sha256}</code>`]);
  return html`<details><summary>Files of the checkpoint, with SHA-256</summary>${table('Files of the checkpoint', ['File', 'SHA-256'], rows)}</details>`;
}
