/** The users that the IdM knows, and the one way to find out who somebody is. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ALL_SCOPES, type IdmUser } from './config.ts';

export interface UserDirectory {
  /** The user of that name, unless barred. */
  find(userName: string): IdmUser | undefined;
  /** The user of that name and password; undefined does not say which of the two was wrong. */
  authenticate(userName: string, password: string): IdmUser | undefined;
  /** From now on there is no such user, or again. False when there never was. */
  bar(userName: string, barred: boolean): boolean;
  /** Of the scopes asked for, those that the user may have. */
  allowedScopes(user: IdmUser, asked: readonly string[]): string[];
}

export function createUserDirectory(users: readonly IdmUser[]): UserDirectory {
  const byName = new Map(users.map((user) => [user.userName, user]));
  const barred = new Set<string>();
  const find = (userName: string): IdmUser | undefined => (barred.has(userName) ? undefined : byName.get(userName));
  return {
    find,
    authenticate(userName, password) {
      const user = find(userName);
      // Compared also for a user that does not exist, so that the time taken tells nothing.
      const fits = timingSafeEqual(digest(user?.password ?? ''), digest(password));
      return user !== undefined && fits ? user : undefined;
    },
    bar(userName, bar) {
      if (bar) barred.add(userName);
      else barred.delete(userName);
      return byName.has(userName);
    },
    allowedScopes: (user, asked) => asked.filter((scope) => (user.scopes ?? ALL_SCOPES).includes(scope)),
  };
}

const digest = (text: string): Buffer => createHash('sha256').update(text, 'utf8').digest();
