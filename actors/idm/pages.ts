/** The two pages that a user sees. No script, no style from elsewhere; every value is escaped. */

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);

const page = (title: string, body: string): string =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title></head><body><h1>${title}</h1>${body}</body></html>`;

/** The login form: field names `username` and `password`, posted to where it came from. */
export const loginPage = (action: string, problem?: string): string =>
  page(
    'MCPTT login',
    `${problem === undefined ? '' : `<p role="alert">${escaped(problem)}</p>`}<form method="post" action="${escaped(action)}">
<label>User name <input name="username" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button></form>`,
  );

export const errorPage = (error: string, description?: string): string =>
  page('Login is not possible', `<p><code>${escaped(error)}</code>: ${escaped(description ?? 'no detail')}</p>`);
