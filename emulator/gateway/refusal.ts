import type { RefusalKind } from './refusals';

/** Thrown where a login ends; the client is told by the one who catches it. */
export class Refusal extends Error {
  readonly kind: RefusalKind;
  readonly variant?: number;

  constructor(kind: RefusalKind, variant?: number) {
    super(kind);
    this.kind = kind;
    this.variant = variant;
  }
}
