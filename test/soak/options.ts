/** The options that run-soak.mjs has parsed. */
export interface SoakOptions {
  readonly runMs: number;
  /** Notifications a second, for each of historic, lastdata and mutable. */
  readonly rate: number;
  readonly seed: number;
  readonly json: boolean;
}

export function soakOptions(): SoakOptions {
  const number = (name: string): number => {
    const value = Number(process.env[name]);
    if (value > 0) return value;
    throw new Error(`${name} is not set: start the soak test with make soak`);
  };
  return {
    runMs: number('SOAK_MINUTES') * 60_000,
    rate: number('SOAK_RATE'),
    seed: number('SOAK_SEED'),
    json: process.env['SOAK_JSON'] === 'true',
  };
}
