import type {
  LoggerService,
  RootLifecycleService,
} from '@backstage/backend-plugin-api';

/** A run is told by its numbers. */
export const silentLogger: LoggerService = {
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
  child: () => silentLogger,
};

/** The lifecycle of a backend, as far as databases take part in it. */
export function lifecycleOf() {
  const hooks: (() => void | Promise<void>)[] = [];
  const lifecycle: RootLifecycleService = {
    addStartupHook: () => {},
    addBeforeShutdownHook: () => {},
    addShutdownHook: hook => hooks.push(hook),
  };
  const shutDown = async () => {
    for (const hook of hooks.splice(0)) await hook();
  };
  return { lifecycle, shutDown };
}
