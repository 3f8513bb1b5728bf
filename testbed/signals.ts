/** Aborts at Ctrl-C, when asked to end, or when the terminal is closed. */
export function onInterruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // Not just once: npm passes on a Ctrl-C that has come here already, and
    // without a listener the second one would end the process half stopped.
    process.on(name, () => controller.abort(new Error('Interrupted.')));
  }
  return controller.signal;
}

export function onDeadline(ms: number): AbortSignal {
  const controller = new AbortController();
  const giveUp = () =>
    controller.abort(new Error(`Gave up after ${ms / 1000} s.`));
  setTimeout(giveUp, ms).unref();
  return controller.signal;
}
