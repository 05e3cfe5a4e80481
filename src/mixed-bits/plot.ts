/** A line of a plot: points (x, y) in the order of x. */
export interface Series {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const [WIDTH, HEIGHT] = [720, 440];
const MARGIN = { left: 64, right: 24, top: 44, bottom: 56 };
// Okabe & Ito's palette, which the colour-blind can tell apart.
const COLOURS = ['#0072b2', '#d55e00', '#009e73'];

/** A line plot as SVG, for a page of its own or inside of one. The axes begin where the points do. */
export function plotSvg(
  series: readonly Series[],
  title: string,
  axes: { readonly x: string; readonly y: string },
): string {
  const points = series.flatMap((each) => each.points);
  const x = scaleOf(
    points.map(([value]) => value),
    [MARGIN.left, WIDTH - MARGIN.right],
  );
  const y = scaleOf(
    points.map(([, value]) => value),
    [HEIGHT - MARGIN.bottom, MARGIN.top],
  );
  const bottom = HEIGHT - MARGIN.bottom;
  const lines = [
    ...x.ticks.flatMap((tick) => [
      `<path d="M${n(x.at(tick))} ${MARGIN.top}V${bottom}" stroke="#ddd"/>`,
      `<text x="${n(x.at(tick))}" y="${bottom + 18}" text-anchor="middle">${label(tick)}</text>`,
    ]),
    ...y.ticks.flatMap((tick) => [
      `<path d="M${MARGIN.left} ${n(y.at(tick))}H${WIDTH - MARGIN.right}" stroke="#ddd"/>`,
      `<text x="${MARGIN.left - 8}" y="${n(y.at(tick) + 4)}" text-anchor="end">${label(tick)}</text>`,
    ]),
    `<text x="${WIDTH / 2}" y="22" text-anchor="middle" font-size="15">${escapeXml(title)}</text>`,
    `<text x="${WIDTH / 2}" y="${HEIGHT - 14}" text-anchor="middle">${escapeXml(axes.x)}</text>`,
    `<text transform="translate(16 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">${escapeXml(axes.y)}</text>`,
    ...series.flatMap(({ label: name, points: line }, index) => {
      const colour = COLOURS[index % COLOURS.length] ?? '';
      const places = line.map(([px, py]) => `${n(x.at(px))},${n(y.at(py))}`);
      const legend = MARGIN.top + 16 + index * 18;
      return [
        `<polyline points="${places.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
        ...places.map((place) => {
          const [cx, cy] = place.split(',');
          return `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"/>`;
        }),
        `<path d="M${MARGIN.left + 14} ${legend - 4}h22" stroke="${colour}" stroke-width="2"/>`,
        `<text x="${MARGIN.left + 42}" y="${legend}">${escapeXml(name)}</text>`,
      ];
    }),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="#222">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    ...lines,
    '</svg>',
    '',
  ].join('\n');
}

/** Text as it stands in SVG and HTML. */
export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** Values onto pixels, with round numbers to label: 1, 2 or 5 times a power of ten apart. */
function scaleOf(values: readonly number[], [from, to]: readonly [number, number]) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const span = high - low || Math.abs(high) || 1;
  const rough = span / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((times) => times * power >= rough) ?? 10) * power;
  const begin = Math.floor(low / step) * step;
  const end = Math.max(Math.ceil(high / step), begin / step + 1) * step;
  const ticks = Array.from(
    { length: Math.round((end - begin) / step) + 1 },
    (_, index) => begin + index * step,
  );
  return { ticks, at: (value: number) => from + ((value - begin) / (end - begin)) * (to - from) };
}

function n(value: number): string {
  return value.toFixed(1);
}

function label(value: number): string {
  return String(Number(value.toPrecision(6)));
}
