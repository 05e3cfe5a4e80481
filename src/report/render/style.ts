/** The style of the report card: one sheet for light, dark, phones and paper. */
export const cardStyle = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#f7f6f3, #14161a);
  --card: light-dark(#ffffff, #1c1f25);
  --ink: light-dark(#1b1e24, #e9ecf1);
  --quiet: light-dark(#545b67, #a6aebb);
  --line: light-dark(#dddcd7, #343a44);
  --accent: light-dark(#1d4ed8, #8fb0ff);
  --pass: light-dark(#17663a, #7fd6a2);
  --pass-paper: light-dark(#e6f4ea, #16301f);
  --fail: light-dark(#a3161d, #ff9a94);
  --fail-paper: light-dark(#fdeaea, #3a1718);
  --open: light-dark(#7a4b00, #f0c674);
  --open-paper: light-dark(#fdf3dc, #332711);
  --mark-1: light-dark(#0063a0, #6db8ef);
  --mark-2: light-dark(#b84a00, #ff9d5c);
  --mark-3: light-dark(#00734f, #5ad1a6);
  --bits-1: light-dark(#7f0000, #ff8a80);
  --bits-2: light-dark(#a8141f, #ff9f80);
  --bits-3: light-dark(#b23a12, #ffb66b);
  --bits-4: light-dark(#8a4b00, #f0c674);
  --bits-6: light-dark(#146a9e, #6db8ef);
  --bits-8: light-dark(#1d4ed8, #8fb0ff);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 2rem clamp(1rem, 4vw, 2.5rem) 4rem; background: var(--paper); color: var(--ink); }
h1 { margin: 0; font-size: clamp(1.4rem, 4vw, 2rem); line-height: 1.2; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { margin: 0 0 .75rem; font-size: 1.25rem; line-height: 1.3; }
h3 { margin: 1.5rem 0 .5rem; font-size: 1rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 46rem; }
.kicker { margin: 0 0 .25rem; color: var(--quiet); font-size: .875rem; }
.quiet, figcaption, .hint { color: var(--quiet); font-size: .875rem; }
a { color: var(--accent); }
.verdict { margin: 1.25rem 0 0; padding: 1rem 1.25rem; border-radius: .75rem; border-left: .4rem solid; }
.verdict p { margin: .25rem 0; }
.verdict .sentence { font-size: 1.125rem; font-weight: 650; }
.verdict ul { margin: .5rem 0; }
.pass { border-color: var(--pass); background: var(--pass-paper); }
.pass .sentence, .is-pass { color: var(--pass); }
.fail { border-color: var(--fail); background: var(--fail-paper); }
.fail .sentence, .is-fail { color: var(--fail); }
.open { border-color: var(--open); background: var(--open-paper); }
.open .sentence, .is-open { color: var(--open); }
.is-pass, .is-fail, .is-open { font-weight: 650; white-space: nowrap; }
nav ol { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 1rem 0 0; padding: 0; list-style: none; font-size: .9375rem; }
nav a { display: inline-block; padding: .25rem 0; }
section { margin-top: 1.25rem; padding: 1.25rem clamp(1rem, 3vw, 1.75rem) 1.5rem; border-radius: .75rem; background: var(--card); border: 1px solid var(--line); }
dl { display: grid; grid-template-columns: minmax(8rem, 12rem) 1fr; gap: .5rem 1.25rem; margin: 0; }
dt { color: var(--quiet); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
@media (max-width: 36rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .625rem; } }
.scroll { overflow-x: auto; border-radius: .375rem; }
table { width: 100%; border-collapse: collapse; font-size: .9375rem; }
caption { padding: 0 0 .375rem; text-align: left; color: var(--quiet); font-size: .875rem; }
th, td { padding: .5rem 1rem .5rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { color: var(--quiet); font-weight: 600; font-size: .8125rem; vertical-align: bottom; }
tbody tr:last-child > * { border-bottom: 0; }
tbody th { font-weight: 500; min-width: 9rem; overflow-wrap: anywhere; }
td:last-child, th:last-child { padding-right: 0; }
.whole { white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
code, pre { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
code { overflow-wrap: break-word; }
td code { white-space: nowrap; }
pre { margin: .375rem 0; padding: .75rem 1rem; border-radius: .5rem; background: var(--paper); border: 1px solid var(--line); white-space: pre-wrap; overflow-wrap: anywhere; }
.hash { color: var(--quiet); font-size: .75rem; overflow-wrap: anywhere; }
td .hash { white-space: normal; }
.bar { display: block; width: 100%; min-width: 8rem; height: .625rem; border-radius: .3125rem; background: var(--line); overflow: hidden; }
.bar i { display: block; height: 100%; min-width: 2px; background: var(--mark-1); }
.bar.over i { background: var(--fail); }
.chip { display: inline-block; padding: 0 .5rem; border: 1px solid currentColor; border-radius: 1rem; font-size: .8125rem; font-weight: 650; white-space: nowrap; }
.chart svg { display: block; width: 100%; min-width: 34rem; height: auto; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 16rem), 1fr)); gap: 1.25rem; margin: 1rem 0; }
.pictures > div { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem; align-content: start; }
.pictures h3 { grid-column: 1 / -1; margin: 0; }
figure { margin: 0; min-width: 0; }
img { display: block; width: 100%; height: auto; border-radius: .375rem; background: var(--line); }
img.small { image-rendering: pixelated; }
.compare { max-width: 26rem; margin: 1rem 0; }
.compare .pair { position: relative; }
.compare .pair img + img { position: absolute; inset: 0; height: 100%; clip-path: inset(0 0 0 var(--at, 50%)); }
.compare .pair::after { content: ""; position: absolute; top: 0; bottom: 0; left: var(--at, 50%); width: 2px; margin-left: -1px; background: #fff; box-shadow: 0 0 0 1px #0008; }
.compare input { width: 100%; height: 2.75rem; margin: 0; accent-color: var(--accent); cursor: ew-resize; }
.compare .ends { display: flex; justify-content: space-between; }
details { margin: .75rem 0 0; }
td details { margin: 0; }
td summary { padding: 0; white-space: nowrap; }
summary { padding: .375rem 0; cursor: pointer; color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: .25rem; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: .5rem; padding: .5rem 1rem; background: var(--card); }
footer { margin-top: 1.5rem; color: var(--quiet); font-size: .875rem; }
@media print {
  :root { color-scheme: light; font-size: 10.5pt; --paper: #fff; --card: #fff; }
  body { max-width: none; padding: 0; }
  nav, .skip, .compare { display: none; }
  section { border: 0; border-top: 1px solid var(--line); border-radius: 0; padding: 1rem 0 0; }
  h2, h3, caption, thead { break-after: avoid; }
  tr, figure, .verdict, pre { break-inside: avoid; }
  .verdict { border: 1px solid; border-left-width: .4rem; }
  .scroll { overflow: visible; }
  .chart svg { min-width: 0; }
  .bar, .bar i, img { print-color-adjust: exact; }
  a { color: inherit; }
}
`;

/** Moves the edge between the two pictures of each slider. */
export const cardScript = `for (const range of document.querySelectorAll('.compare input')) {
  const pair = range.closest('.compare').querySelector('.pair');
  const move = () => pair.style.setProperty('--at', range.value + '%');
  range.addEventListener('input', move);
  move();
}
`;
