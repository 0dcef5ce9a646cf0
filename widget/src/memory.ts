// Which suggestion belongs to which record, so that coming back to a record (or opening it in a second tab) shows
// the answers that are there instead of asking the models again.

import type { Source } from "./contract";
import type { TicketRecord } from "./host";
import type { Store } from "./storage";
import { isFields, isId, parsed } from "./wire";

const FOLDER = "suggestion:";
const MOST = 200;
const LONGEST_MS = 30 * 24 * 3_600_000;

export class SuggestionMemory {
  constructor(
    private readonly store: Store,
    private readonly source: Source,
    private readonly rater: string,
  ) {}

  /** Return the id of the suggestion that was made of exactly this text, if one is remembered. */
  async recall(record: TicketRecord): Promise<string | null> {
    const known = parsed(this.store.get(this.key(record)) ?? "");
    if (!isFields(known) || !isId(known.id) || known.digest !== (await digest(record))) return null;
    return known.id;
  }

  async remember(record: TicketRecord, id: string): Promise<void> {
    this.store.set(this.key(record), JSON.stringify({ id, digest: await digest(record), at: Date.now() }));
    this.tidy();
  }

  forget(record: TicketRecord): void {
    this.store.remove(this.key(record));
  }

  private key(record: TicketRecord): string {
    return `${FOLDER}${this.source}:${encodeURIComponent(this.rater)}:${record.id}`;
  }

  private tidy(): void {
    const age = (key: string): number => {
      const known = parsed(this.store.get(key) ?? "");
      return Date.now() - (isFields(known) && typeof known.at === "number" ? known.at : 0);
    };
    const keys = this.store.keys().filter((key) => key.startsWith(FOLDER));
    keys.sort((a, b) => age(a) - age(b));
    keys.forEach((key, index) => {
      if (index >= MOST || age(key) > LONGEST_MS) this.store.remove(key);
    });
  }
}

/** A digest, because the text of a ticket does not belong into localStorage. */
async function digest(record: TicketRecord): Promise<string> {
  const text = JSON.stringify([record.subject, record.text, record.earlier]);
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
