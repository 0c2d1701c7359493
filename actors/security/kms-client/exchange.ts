/** One request and its answer on HTTP-1, as every client of a KMS makes it (TS 33.180 annex D). */
import type { CekEnd, CekRequest } from '../../messages/kms/cek.ts';
import { KmsMessageError } from '../../messages/kms/errors.ts';
import type { Fetch } from '../../messages/kms/https.ts';
import { KMS_MEDIA_TYPE } from '../../messages/kms/namespaces.ts';
import { buildKmsRequest, type KmsRequest } from '../../messages/kms/request.ts';
import { type KmsMessage, type KmsResponse, parseKmsResponse } from '../../messages/kms/response.ts';
import { KmsClientError } from './errors.ts';

export interface KmsExchangeOptions {
  /** Where the KMS is, `https://host:port`. */
  readonly baseUrl: string;
  readonly kmsUri: string;
  /** Whose requests these are. */
  readonly userUri: string;
  readonly clientId?: string;
  /** Sends over TLS, trusting the right CA. */
  readonly fetch: Fetch;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** How long an answer may take, milliseconds; 10 s unless told. */
  readonly wait?: number;
}

/** What one request adds to the default. */
export interface Ask {
  readonly path: string;
  /** The bearer token, for clients that have no certificate. */
  readonly token?: string;
  readonly cekRequests?: readonly CekRequest[];
  readonly cekEnds?: readonly CekEnd[];
  /** For those who send a request wrong on purpose: sees it as it would be sent. */
  readonly change?: (request: KmsRequest) => KmsRequest;
}

const WAIT = 10_000;

export class KmsExchange {
  readonly #options: KmsExchangeOptions;

  constructor(options: KmsExchangeOptions) {
    this.#options = options;
  }

  /** @throws KmsClientError `KMS_REFUSED`, `KMS_UNREACHABLE`, `KMS_BAD_ANSWER` */
  async ask(ask: Ask): Promise<KmsMessage> {
    const { baseUrl, kmsUri, userUri, clientId, now } = this.#options;
    const url = `${baseUrl}${ask.path}`;
    const usual: KmsRequest = {
      userUri,
      kmsUri,
      time: now(),
      ...(clientId === undefined ? {} : { clientId }),
      clientReqUrl: url,
      cekRequests: ask.cekRequests ?? [],
      cekEnds: ask.cekEnds ?? [],
    };
    const request = ask.change?.(usual) ?? usual;
    const { response, octets } = await this.#post(url, buildKmsRequest(request), ask.token);
    const answer = this.#parse(octets, response.status);
    if (response.status !== 200 || answer.error !== undefined) throw refused(response, answer);
    this.#check(answer, request);
    if (answer.message === undefined)
      throw new KmsClientError('KMS_BAD_ANSWER', 'the KMS answered without a KmsMessage');
    return answer.message;
  }

  async #post(
    url: string,
    body: Uint8Array,
    token: string | undefined,
  ): Promise<{ response: Response; octets: Uint8Array }> {
    try {
      const response = await this.#options.fetch(url, {
        method: 'POST',
        headers: {
          'content-type': KMS_MEDIA_TYPE,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        body: body as NonNullable<RequestInit['body']>,
        signal: AbortSignal.timeout(this.#options.wait ?? WAIT),
      });
      return { response, octets: new Uint8Array(await response.arrayBuffer()) };
    } catch (error) {
      const { cause, message } = error as { cause?: { code?: string; message?: string }; message: string };
      const why = cause?.code ?? cause?.message ?? message;
      throw new KmsClientError('KMS_UNREACHABLE', `the KMS at ${new URL(url).host} cannot be reached: ${why}`, { why });
    }
  }

  #parse(octets: Uint8Array, status: number): KmsResponse {
    try {
      return parseKmsResponse(octets);
    } catch (error) {
      if (!(error instanceof KmsMessageError)) throw error;
      const message = `the KMS answered ${status} without a KmsResponse: ${error.message}`;
      throw new KmsClientError('KMS_BAD_ANSWER', message, { httpStatus: status, xml: error.code });
    }
  }

  /** TS 33.180 clause D.3.1: the answer repeats what it is an answer to. */
  #check(answer: KmsResponse, request: KmsRequest): void {
    const wrong =
      answer.userUri !== request.userUri
        ? 'UserUri'
        : answer.kmsUri !== request.kmsUri
          ? 'KmsUri'
          : answer.clientReqUrl !== request.clientReqUrl
            ? 'ClientReqUrl'
            : undefined;
    if (wrong !== undefined) {
      throw new KmsClientError(
        'KMS_BAD_ANSWER',
        `the KMS answered another request: ${wrong} is not the one asked with`,
      );
    }
  }
}

function refused(response: Response, { error }: KmsResponse): KmsClientError {
  const retryAfter = response.headers.get('retry-after');
  const text = error === undefined ? `status ${response.status}` : `${error.message} (${error.code})`;
  return new KmsClientError('KMS_REFUSED', `the KMS refused: ${text}`, {
    httpStatus: response.status,
    errorCode: error?.code ?? null,
    wwwAuthenticate: response.headers.get('www-authenticate'),
    ...(retryAfter === null ? {} : { retryAfter: Number(retryAfter) }),
  });
}
