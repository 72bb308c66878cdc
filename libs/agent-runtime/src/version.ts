import { createRequire } from 'node:module';

/** The version of the suite: its packages are released together. */
export const version: string = (createRequire(import.meta.url)('../package.json') as { version: string }).version;
