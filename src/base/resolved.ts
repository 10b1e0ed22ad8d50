/**
 * The promise of what is done already. One for all, so that it costs nothing to give, and so that who
 * gets it can know by looking that there is nothing to wait for.
 */
export const RESOLVED: Promise<void> = Promise.resolve();
