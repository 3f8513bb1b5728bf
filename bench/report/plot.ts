import * as echarts from 'echarts';
import type { Plot } from '../benchmarks';

const WIDTH = 900;
const HEIGHT = 420;

/** Ours stands out; the floor stays in the background. */
const COLOURS: Record<string, string> = {
  static: '#9aa0a6',
  expirationChecker: '#d1495b',
  databricks: '#edae49',
  ours: '#00798c',
};

const colourOf = (name: string) =>
  Object.entries(COLOURS).find(([start]) => name.startsWith(start))?.[1];

/** As an SVG picture, without a browser. */
export function draw(plot: Plot): string {
  const chart = echarts.init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: WIDTH,
    height: HEIGHT,
  });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: { text: plot.title, left: 'center', top: 8 },
    legend: { bottom: 4, icon: 'rect', itemHeight: 4, itemGap: 28 },
    grid: { left: 70, right: 30, top: 55, bottom: 75 },
    xAxis: {
      type: 'value',
      name: plot.x,
      nameLocation: 'middle',
      nameGap: 28,
      min: 0,
      max: Math.ceil(lastOf(plot)),
    },
    yAxis: {
      type: plot.logarithmic ? 'log' : 'value',
      name: plot.y,
      ...(plot.logarithmic && { min: 1 }),
    },
    series: plot.lines.map((line, index) => ({
      type: 'line',
      name: line.name,
      data: line.points.map(([x, y]) => [x, shown(y, plot)]),
      step: line.stepped ? 'end' : undefined,
      showSymbol: false,
      lineStyle: { width: line.name.startsWith('ours') ? 2.5 : 1.2 },
      color: colourOf(line.name),
      ...(index === 0 && marksOf(plot)),
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

const lastOf = ({ lines }: Plot) =>
  Math.max(...lines.flatMap(({ points }) => points.map(([x]) => x)));

/** A logarithm has no zero. */
const shown = (y: number, { logarithmic }: Plot) =>
  logarithmic ? Math.max(1, y) : y;

function marksOf({ limit, spans = [] }: Plot) {
  return {
    markLine: limit && {
      silent: true,
      symbol: 'none',
      label: { formatter: limit.name, position: 'insideEndTop' },
      lineStyle: { color: '#333333' },
      data: [{ yAxis: limit.value }],
    },
    markArea: {
      silent: true,
      itemStyle: { color: 'rgba(0, 0, 0, 0.06)' },
      data: spans.map(({ name, from, to }) => [
        { name, xAxis: from },
        { xAxis: to },
      ]),
    },
  };
}
