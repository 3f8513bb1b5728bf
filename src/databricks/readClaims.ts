/** The payload of a JWT; read, never trusted. Undefined when it is no JWT. */
export function readClaims(token: string): Record<string, unknown> | undefined {
  try {
    const payload = Buffer.from(token.split('.')[1], 'base64url').toString();
    const claims: unknown = JSON.parse(payload);
    return claims instanceof Object
      ? (claims as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
