/** `850 ms`, `12 s`, `3 min`, `5 h`, `2 d`: rounded down. @param ms milliseconds, not negative */
export function durationText(ms: number): string {
  const steps = [
    { unit: 'd', ms: 86_400_000 },
    { unit: 'h', ms: 3_600_000 },
    { unit: 'min', ms: 60_000 },
    { unit: 's', ms: 1000 },
  ];
  // A unit is used from two of it on: 90 s and 36 h stay as they are.
  const step = steps.find((one) => ms >= 2 * one.ms) ?? (ms >= 1000 ? { unit: 's', ms: 1000 } : { unit: 'ms', ms: 1 });
  const count = ms / step.ms;
  return `${step.ms === 1000 && count < 10 && count % 1 >= 0.05 ? count.toFixed(1) : Math.floor(count + 1e-9)} ${step.unit}`;
}
