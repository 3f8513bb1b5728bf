interface RequestOptions {
  method?: string;
  body?: object;
  signal?: AbortSignal;
}

/** Somebody who may use a backend. */
export class Client {
  readonly url: string;
  readonly token: string;
  readonly signal: AbortSignal;

  constructor(url: string, token: string, signal: AbortSignal) {
    this.url = url;
    this.token = token;
    this.signal = signal;
  }

  /** @throws unless the status is one of success, or the one `expected`. */
  async request(
    path: string,
    {
      body,
      signal = this.signal,
      method = body && 'POST',
    }: RequestOptions = {},
  ): Promise<Response> {
    const response = await fetch(`${this.url}/api/${path}`, {
      method,
      signal,
      body: body && JSON.stringify(body),
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body && { 'content-type': 'application/json' }),
      },
    });
    if (response.ok) return response;
    const answer = await response.text();
    throw new Error(`${path} answered HTTP ${response.status}: ${answer}`);
  }

  async json<T>(path: string, options?: RequestOptions): Promise<T> {
    return (await (await this.request(path, options)).json()) as T;
  }
}
