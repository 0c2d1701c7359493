/** What a broken actor sent may be unreadable: that is a failed assertion about it, and no error of the testbed. */
import { AssertionError, expect } from 'chai';

/** What `read` gives; an assertion fails, naming `what`, when it throws. */
export function reading<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof AssertionError) throw error;
    return expect.fail(`${what} cannot be read: ${(error as Error).message}`);
  }
}
