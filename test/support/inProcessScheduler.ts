import { DefaultSchedulerService } from '@backstage/backend-defaults/scheduler';
import {
  coreServices,
  createServiceFactory,
} from '@backstage/backend-plugin-api';
import { metricsServiceRef } from '@backstage/backend-plugin-api/alpha';

/** Runs tasks where they are scheduled, as docs/branches.md has it. */
export const inProcessScheduler = createServiceFactory({
  service: coreServices.scheduler,
  deps: {
    database: coreServices.database,
    logger: coreServices.logger,
    rootLifecycle: coreServices.rootLifecycle,
    httpRouter: coreServices.httpRouter,
    pluginMetadata: coreServices.pluginMetadata,
    metrics: metricsServiceRef,
  },
  factory: deps => {
    const scheduler = DefaultSchedulerService.create(deps);
    const schedule = scheduler.scheduleTask.bind(scheduler);
    scheduler.scheduleTask = task => schedule({ ...task, scope: 'local' });
    return scheduler;
  },
});
