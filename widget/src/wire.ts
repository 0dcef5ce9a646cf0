// Reading what came through Zoho. The SDKs accept messages from anywhere, so every value is checked before use.

import type { AnswerPublic, AnswerStatus, ErrorPublic, RubricPublic, SuggestionPublic } from "./contract";
import { Refused, Unreachable } from "./errors";

type Fields = Record<string, unknown>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Return the field `key` of whatever `value` is, or undefined. */
export function field(value: unknown, key: string): unknown {
  return isFields(value) ? value[key] : undefined;
}

/** Return `value` as a trimmed string; numbers count, everything else is empty. */
export function textOf(value: unknown): string {
  if (typeof value === "number") return String(value);
  return typeof value === "string" ? value.trim() : "";
}

/** Return `value` parsed if it is JSON text, or as it is. */
export function parsed(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

/** Return the backend's error that `value` holds, if it is one. */
export function errorIn(value: unknown): ErrorPublic | null {
  if (!isFields(value) || "id" in value) return null;
  const { code, message, request_id } = value;
  if (typeof code !== "string" || typeof message !== "string") return null;
  return { code, message, request_id: typeof request_id === "string" ? request_id : null };
}

/** Return `value` if it is a body of ours. Throws Refused for an error of ours, Unreachable for anything else. */
export function bodyOrThrow(value: unknown): Fields {
  const error = errorIn(value);
  if (error) throw new Refused(error);
  if (!isFields(value)) throw new Unreachable();
  return value;
}

const STATUSES: readonly AnswerStatus[] = ["waiting", "writing", "done", "failed", "cancelled"];
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isId(value: unknown): value is string {
  return typeof value === "string" && ID.test(value);
}

function isAnswer(value: unknown): value is AnswerPublic {
  return (
    isFields(value) &&
    isId(value.id) &&
    typeof value.slot === "string" &&
    STATUSES.includes(value.status as AnswerStatus) &&
    typeof value.text === "string" &&
    Array.isArray(value.cut) &&
    Array.isArray(value.sources)
  );
}

export function asSuggestion(value: unknown): SuggestionPublic {
  const body = bodyOrThrow(value);
  const isRight =
    isId(body.id) && isFields(body.ticket) && Array.isArray(body.answers) && body.answers.every(isAnswer);
  if (!isRight) throw new Unreachable();
  return body as unknown as SuggestionPublic;
}

export function asRubric(value: unknown): RubricPublic {
  const body = bodyOrThrow(value);
  const isMetric = (metric: unknown): boolean =>
    isFields(metric) && typeof metric.key === "string" && Array.isArray(metric.scale);
  if (!Array.isArray(body.metrics) || !body.metrics.every(isMetric)) throw new Unreachable();
  return body as unknown as RubricPublic;
}
