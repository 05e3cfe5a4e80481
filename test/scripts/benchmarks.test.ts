import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { benchmarkChart, newestRows, withBenchmarks } from '../../scripts/docs/benchmarks.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

const csv = `date,commit,cpu,cores,node,load,checkpoint,what,runs,wall_s,wall_min_s,wall_max_s,user_s,system_s,cpu_s,peak_rss_mb,read_mb,written_mb,baseline,to_baseline
2026-01-01T10:00Z,old,Some CPU,2,v24.0.0,0.1,sd15,ONNX,5,9.00,8.00,10.00,7.00,1.00,8.00,160.4,8600.0,2135.5,cp -r,3.00
2026-01-02T10:00Z,new,Some CPU,2,v24.0.0,0.1,sd15,cp -r,5,2.00,1.90,2.20,0.00,2.00,2.00,,,,cp -r,1.00
2026-01-02T10:00Z,new,Some CPU,2,v24.0.0,0.1,sd15,ONNX,5,4.00,3.90,4.50,6.00,1.00,7.00,150.6,8600.0,2135.5,cp -r,2.00
2026-01-02T11:00Z,new,Some CPU,2,v24.0.0,0.1,sdxl-f16,ONNX,5,6.00,5.90,6.50,9.00,1.00,10.00,180.0,13800.0,6900.0,cp -r,2.10
`;

function rows() {
  writeFileSync(at('rows.csv'), csv);
  return newestRows(at('rows.csv'));
}

test('the newest row of a case is what README says', () => {
  const marks = (text: string) => {
    const [start, end] = ['written by `npm run docs` from benchmarks/results/full-size.csv', '/benchmarks'];
    return `before\n<!-- benchmarks: ${start} -->\n${text}<!-- ${end} -->\nafter`;
  };
  const text = withBenchmarks(marks('an old table\n'), rows());
  expect(text).toMatch(/^before\n.*after$/s);
  expect(text).not.toContain('an old table');
  const cells = text.split('\n').map((line) =>
    line
      .split('|')
      .map((cell) => cell.trim())
      .join('|'),
  );
  expect(cells).toContain('|SD 1.5, float32|ONNX|4.00 (3.90–4.50)|7.00|151 MB|8600 MB|2136 MB|2.00 × cp -r|');
  expect(cells).toContain('|SD 1.5, float32|cp -r|2.00 (1.90–2.20)|2.00||||1|');
  expect(text).not.toContain('9.00');
  expect(text).toContain('2026-01-02, new, Some CPU, 2 cores, Node v24.0.0, load before it 0.1, 5 runs');
  expect(withBenchmarks(text, rows())).toBe(text);
});

test('the chart has a point for each size of a conversion', () => {
  const chart = benchmarkChart(rows());
  expect(chart.match(/<circle/g)).toHaveLength(4); // two checkpoints in two panels
  expect(chart).not.toContain('NaN');
});

test('without rows there is a table and a chart of nothing', () => {
  expect(newestRows(at('none.csv'))).toEqual([]);
  expect(benchmarkChart([])).not.toMatch(/NaN|Infinity/);
});
