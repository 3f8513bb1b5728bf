/** The platform's clock: what the control plane and the gateway call now. */
export class ServerClock {
  offsetMs = 0;

  now(): number {
    return Date.now() + this.offsetMs;
  }
}
