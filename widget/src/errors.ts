import type { ErrorPublic } from "./contract";

/** The backend understood the request and refused it, with a sentence to show. */
export class Refused extends Error {
  readonly code: string;
  readonly requestId: string | null;

  constructor(error: ErrorPublic) {
    super(error.message);
    this.code = error.code;
    this.requestId = error.request_id;
  }

  /** Whether the same request may succeed a little later. */
  get isTransient(): boolean {
    return TRANSIENT.has(this.code);
  }
}

const TRANSIENT = new Set(["busy", "unavailable", "internal_error"]);

/** Nothing that the backend wrote came back: the network, Zoho's proxy or the backend is away. */
export class Unreachable extends Error {
  constructor(message = "The service did not answer.") {
    super(message);
  }
}

/** The helpdesk itself could not do what was asked (insert, fill a field, send). */
export class HostProblem extends Error {}

/** Whether waiting and trying again can help. */
export function isTransient(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof Refused && error.isTransient);
}

/**
 * Whether something that was scored must be kept for a later try. A wrong key is the administrator's to mend: what
 * agents have scored meanwhile is not thrown away for it.
 */
export function isWorthKeeping(error: unknown): boolean {
  return isTransient(error) || (error instanceof Refused && error.code === "not_signed_in");
}

/** Settle as `promise` does, or fail after `ms`: Zoho's SDKs have promises that never settle. */
export function withTimeout<T>(promise: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Unreachable()), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
