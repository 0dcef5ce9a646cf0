// Personal data is replaced by placeholders before a model sees a ticket, so answers come with placeholders.
// They are filled here, in the agent's browser, and put back before anything is sent.

import type { Agent, Customer } from "./host";

export interface Segment {
  kind: "plain" | "filled" | "open";
  text: string;
}

const PLACEHOLDER = /\{([a-z][a-z0-9_]*)\}/gi;

/** Return what each placeholder stands for on this record; unknown ones are absent. */
export function valuesFor(customer: Customer, agent: Agent): Map<string, string> {
  const values = new Map<string, string>();
  const set = (value: string | undefined, ...names: string[]): void => {
    for (const name of names) if (value) values.set(name, value);
  };
  set(customer.name, "name", "username", "customer", "customer_name", "full_name", "name_1");
  set(customer.firstName ?? customer.name?.split(/\s+/)[0], "first_name");
  set(customer.email, "email", "email_1");
  set(customer.phone, "phone", "phone_1");
  set(customer.company, "company", "account");
  set(agent.name, "agent", "agent_name");
  return values;
}

/** Cut `text` at its placeholders: filled where the value is known, open where it is not. */
export function fill(text: string, values: ReadonlyMap<string, string>): Segment[] {
  const segments: Segment[] = [];
  let end = 0;
  for (const match of text.matchAll(PLACEHOLDER)) {
    const at = match.index;
    if (at > end) segments.push({ kind: "plain", text: text.slice(end, at) });
    const value = values.get((match[1] ?? "").toLowerCase());
    segments.push(value === undefined ? { kind: "open", text: match[0] } : { kind: "filled", text: value });
    end = at + match[0].length;
  }
  if (end < text.length) segments.push({ kind: "plain", text: text.slice(end) });
  return segments;
}

export function filledText(text: string, values: ReadonlyMap<string, string>): string {
  return fill(text, values)
    .map((segment) => segment.text)
    .join("");
}

/** Return `text` with the values replaced by their placeholders again (longest first, whole words). */
export function unfilled(text: string, values: ReadonlyMap<string, string>): string {
  const names = new Map<string, string>();
  for (const [name, value] of values) if (!names.has(value)) names.set(value, name);
  let result = text;
  for (const value of [...names.keys()].sort((a, b) => b.length - a.length)) {
    const escaped = value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const wholeWords = new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])`, "gu");
    result = result.replace(wholeWords, `{${names.get(value)}}`);
  }
  return result;
}
