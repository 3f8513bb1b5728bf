import { metrics } from '@opentelemetry/api';
import {
  type DataPoint,
  MeterProvider,
  MetricReader,
} from '@opentelemetry/sdk-metrics';

/** Collects when it is told to. */
class Reader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}

const READ = {
  open: 'db.client.connection.count',
  waiting: 'db.client.connection.pending_requests',
};

export interface Pools {
  names: string[];
  /** Connections that the pools of all plugins hold. */
  open: number;
  /** Queries that wait for a connection. */
  waiting: number;
}

/**
 * Counts what the pools of this process hold, by the metrics of the module.
 * To be called before the backend starts.
 */
export function watchPools(): () => Promise<Pools> {
  const reader = new Reader();
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  return async () => {
    const { resourceMetrics } = await reader.collect();
    const pointsOf = (name: string) =>
      resourceMetrics.scopeMetrics
        .flatMap(scope => scope.metrics)
        .filter(({ descriptor }) => descriptor.name === name)
        .flatMap(({ dataPoints }) => dataPoints as DataPoint<number>[]);
    const sum = (name: string) =>
      pointsOf(name).reduce((total, { value }) => total + value, 0);
    const waiting = pointsOf(READ.waiting);
    return {
      names: waiting.map(({ attributes }) =>
        String(attributes['db.client.connection.pool.name']),
      ),
      open: sum(READ.open),
      waiting: sum(READ.waiting),
    };
  };
}
