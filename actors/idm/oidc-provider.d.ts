/**
 * The parts of oidc-provider without its front door: lib/index.js writes to the console when it is loaded on Node 20,
 * and nothing but that file can be told not to.
 */
declare module 'oidc-provider/lib/provider.js' {
  export { Provider } from 'oidc-provider';
}
declare module 'oidc-provider/lib/helpers/errors.js' {
  import type { errors } from 'oidc-provider';
  export const AccessDenied: typeof errors.AccessDenied;
  export const InvalidTarget: typeof errors.InvalidTarget;
}
declare module 'oidc-provider/lib/helpers/interaction_policy/index.js' {
  import type { interactionPolicy } from 'oidc-provider';
  export const base: typeof interactionPolicy.base;
}
