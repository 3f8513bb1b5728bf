import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Address } from '../../testbed/backend';

/** Slow is no failure here, but an answer that never comes is. */
const NO_ANSWER_MS = 180_000;

interface RequestOptions {
  method?: string;
  body?: object;
  /** Another one than the service's own. */
  token?: string;
}

/** Backstage, seen by those who use it. */
export class Portal {
  readonly #address: Address;

  constructor(address: Address) {
    this.#address = address;
  }

  /** @throws unless the status is one of success. */
  async request(path: string, options: RequestOptions = {}): Promise<string> {
    const { body, method = body ? 'POST' : 'GET', token } = options;
    return new Promise((resolve, reject) => {
      const sent = request(this.#address.url + path, {
        method,
        // Kept open, it could be closed by the server as a request comes in.
        agent: false,
        headers: {
          authorization: `Bearer ${token ?? this.#address.token}`,
          'content-type': 'application/json',
        },
      });
      sent.setTimeout(NO_ANSWER_MS, () =>
        sent.destroy(new Error(`No answer within ${NO_ANSWER_MS / 1000} s`)),
      );
      sent.on('error', reject);
      sent.on('response', response => {
        const { statusCode = 0 } = response;
        text(response).then(answer => {
          if (statusCode < 300) resolve(answer);
          else reject(new Error(`HTTP ${statusCode}: ${answer}`));
        }, reject);
      });
      sent.end(body && JSON.stringify(body));
    });
  }
}
