/** A file of the state folder that the KMS cannot work with: it does not start. */
export class StateError extends Error {
  readonly code = 'KMS_STATE_UNUSABLE';

  constructor(file: string, cause: unknown) {
    super(
      `${file} cannot be opened (${reasonOf(cause)}): the KMS needs a state folder that it may write to, on a disk with room, and with files of its own in it`,
      { cause },
    );
    this.name = 'StateError';
  }
}

/** The short code where there is one, else what the error says. */
function reasonOf(cause: unknown): string {
  const { code, message } = cause as { code?: unknown; message?: unknown };
  return String(typeof code === 'string' && code !== '' ? code : (message ?? cause));
}
