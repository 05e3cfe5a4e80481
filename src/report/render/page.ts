import { createHash } from 'node:crypto';
import type { Card } from '../card.ts';
import type { EmbeddedPicture } from '../pictures/embedded.ts';
import { filesSection } from './files-section.ts';
import { identitySection } from './identity-section.ts';
import { curveSection, layersSection } from './layers-section.ts';
import { costSection, lintSection, notCheckedSection } from './lint-section.ts';
import { html, Markup } from './markup.ts';
import { paritySection } from './parity-section.ts';
import { attributionSection, picturesSection } from './pictures-section.ts';
import { cardScript, cardStyle } from './style.ts';
import { commandLine, type Section } from './table.ts';

/** Classes of the verdict, by its result. */
const classes = { pass: 'pass', fail: 'fail', 'not judged': 'open' } as const;

/**
 * The report card as one HTML file, which needs nothing else: its policy lets no browser load or run more than is in it. `images`
 * has the pictures that the card names.
 */
export function cardPage(card: Card, images: ReadonlyMap<string, EmbeddedPicture>): string {
  const title = `${card.identity.name ?? card.folder}: report card`;
  const sections = [
    identitySection(card),
    filesSection(card),
    paritySection(card),
    attributionSection(card, images),
    layersSection(card),
    curveSection(card),
    picturesSection(card, images),
    lintSection(card),
    costSection(card),
    notCheckedSection(card),
  ];
  const hash = createHash('sha256').update(cardScript).digest('base64');
  const policy = `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${new Markup(policy)}">
<title>${title}</title>
<style>${new Markup(cardStyle)}</style>
</head>
<body>
<a class="skip" href="#identity">To the facts</a>
<header>
<p class="kicker">Report card of a conversion, by sdconvert ${card.sdconvert}</p>
<h1>${card.identity.name ?? card.folder}</h1>
${verdict(card)}
<nav aria-label="Sections"><ol>${sections.map((section) => html`<li><a href="#${section.id}">${section.title}</a></li>`)}</ol></nav>
</header>
<main>
${sections.map(laidOut)}</main>
<footer><p>All numbers of this page are in report.json beside it, as plain data.</p></footer>
<script>${new Markup(cardScript)}</script>
</body>
</html>
`.text;
}

function verdict({ verdict: { result, sentence, failsAt, reasons } }: Card): Markup {
  return html`<div class="verdict ${classes[result]}" role="status"><p class="sentence">${sentence}</p>
${reasons.length > 1 && html`<ul>${reasons.map((reason) => html`<li>${reason}</li>`)}</ul>`}
${failsAt && html`<p>This verdict would turn to fail at a floor of ${failsAt.floor.toFixed(2)} dB. To see it fail:</p>${commandLine(failsAt.command)}`}
</div>`;
}

function laidOut({ id, title, body }: Section): Markup {
  return html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>
${body}
</section>
`;
}
