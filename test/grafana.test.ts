import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { metrics } from '@opentelemetry/api';
import {
  PrometheusExporter,
  PrometheusSerializer,
} from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { parse } from 'yaml';
import { lakebaseTests } from './support/lakebase';

const start = lakebaseTests();

interface Dashboard {
  panels: { title: string; targets?: { expr: string }[] }[];
  templating: { list: { definition?: string }[] };
}

interface Alerts {
  groups: { rules: { alert: string; expr: string }[] }[];
}

const read = (name: string) =>
  readFile(join(__dirname, '..', 'docs', 'grafana', name), 'utf8');

/** All that is asked of Prometheus, by who asks. */
async function expressions(): Promise<[who: string, expression: string][]> {
  const dashboard = JSON.parse(await read('dashboard.json')) as Dashboard;
  const alerts = parse(await read('alerts.yaml')) as Alerts;
  return [
    ...dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }): [string, string] => [title, expr]),
    ),
    ...dashboard.templating.list.flatMap(({ definition }) =>
      definition ? [['variable', definition] as [string, string]] : [],
    ),
    ...alerts.groups.flatMap(({ rules }) =>
      rules.map(({ alert, expr }): [string, string] => [alert, expr]),
    ),
  ];
}

/** Labels that Prometheus itself adds to whatever it scrapes. */
const OF_PROMETHEUS = ['job', 'instance', 'le', '__name__'];

it('dashboard and alerts ask for what the exporter shows', async () => {
  const exporter = new PrometheusExporter({ preventServerStart: true });
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [exporter] }));
  const emulator = await start.emulator();
  emulator.gateway.refuseNext('wrongIdentity');
  emulator.controlPlane.answer('credentials', { status: 503 }, { times: 1 });
  const lakebase = start.lakebase(emulator, {
    pluginDivisionMode: 'schema',
    lakebase: { maxConnections: 5 },
  });
  await lakebase.getClient('catalog');
  emulator.gateway.refuseNext('missingRole');
  await expect(lakebase.getClient('auth')).rejects.toThrow(/role/);

  const { resourceMetrics } = await exporter.collect();
  const page = new PrometheusSerializer().serialize(resourceMetrics);
  await exporter.shutdown();
  metrics.disable();

  const shown = new Map<string, Set<string>>();
  for (const [, name, labels = ''] of page.matchAll(
    /^(\w+)(?:\{(.*)\})? \S+/gm,
  )) {
    const known = shown.get(name) ?? new Set();
    for (const [, label] of labels.matchAll(/(\w+)="/g)) known.add(label);
    shown.set(name, known);
  }
  const unknown: string[] = [];
  for (const [who, expression] of await expressions()) {
    const asked = metricsIn(expression);
    const names = [...shown.keys()].filter(name =>
      asked.some(pattern => new RegExp(`^(${pattern})$`).test(name)),
    );
    if (names.length !== asked.length || asked.length === 0)
      unknown.push(`${who}: ${asked.join(', ')}`);
    const labels = labelsIn(expression).filter(
      label =>
        !OF_PROMETHEUS.includes(label) &&
        !names.some(name => shown.get(name)?.has(label)),
    );
    unknown.push(...labels.map(label => `${who}: ${label}`));
  }
  expect(unknown).toEqual([]);
});

const isLabel = (name: string) =>
  /^(lakebase_endpoint|db_client_connection_(pool_name|state))$/.test(name);

/** By their names, or by patterns of them. */
const metricsIn = (expression: string): string[] => [
  ...[...expression.matchAll(/__name__=~"([^"]+)"/g)].map(([, name]) => name),
  ...[
    ...expression
      .replace(/"[^"]*"/g, '')
      .matchAll(/\b(?:lakebase|db_client)_\w+\b/g),
  ]
    .map(([name]) => name)
    .filter(name => !isLabel(name)),
];

/** In braces, and after `by`. */
const labelsIn = (expression: string): string[] => [
  ...[...expression.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list]) =>
    list.split(/, */),
  ),
  ...[...expression.matchAll(/\{([^}]*)\}/g)].flatMap(([, list]) =>
    [...list.matchAll(/(\w+)\s*=/g)].map(([, label]) => label),
  ),
];
