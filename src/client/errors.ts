/** What went wrong between this program and the agent; `code` is for programs, the message for people. */
export type ClientErrorCode =
  | 'unreachable' // no connection could be made
  | 'refused' // the agent is there and does not want us: token, certificate
  | 'timeout' // no answer in time
  | 'closed' // the connection ended; whether the request was carried out is unknown
  | 'protocol' // the answer was not what an agent says
  | 'request' // the agent refused this request
  | 'busy' // too many requests wait already
  | 'options'; // this program was asked for something impossible

/** Every rejection of the client library is one of these. */
export class ClientError extends Error {
  constructor(
    readonly code: ClientErrorCode,
    message: string,
  ) {
    super(message);
    this.name = 'ClientError';
  }
}

/** Anything thrown, as a ClientError. */
export const asClientError = (error: unknown): ClientError =>
  error instanceof ClientError
    ? error
    : new ClientError('closed', error instanceof Error ? error.message : String(error));
