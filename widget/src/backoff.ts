/** Delays that grow while nothing happens, so that a poll is cheap for Zoho's quota and still feels prompt. */
export class Backoff {
  private delay: number;

  constructor(
    private readonly shortest: number,
    private readonly longest: number,
    private readonly factor = 1.6,
  ) {
    this.delay = shortest;
  }

  /** Return the next delay (ms). */
  next(): number {
    const delay = this.delay;
    this.delay = Math.min(this.longest, this.delay * this.factor);
    return delay;
  }

  reset(): void {
    this.delay = this.shortest;
  }
}

/** Wait; rejects at once when `signal` is aborted. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}
