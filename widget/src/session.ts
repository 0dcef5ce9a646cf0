// From an opened record to its answers. Every opened record gets an AbortController of its own: whatever still comes
// for an earlier one is dropped, so an answer can never appear on another record.

import type { Backend } from "./backend";
import { Backoff, sleep } from "./backoff";
import type { AnswerPublic, SuggestionPublic } from "./contract";
import { HostProblem, isTransient, Refused } from "./errors";
import type { Host, TicketRecord } from "./host";
import { withLock } from "./locks";
import type { SuggestionMemory } from "./memory";

export type State =
  | { phase: "idle" }
  | { phase: "asking" }
  | { phase: "empty" }
  | { phase: "problem"; message: string | null }
  | { phase: "answers"; record: TicketRecord; suggestion: SuggestionPublic };

export interface Update {
  state: State;
  /** Seconds until the next try while the service is away; null while it is there. */
  awaySeconds: number | null;
  /** Why the last thing that was asked for on this record was refused. */
  refused: string | null;
}

const SUBJECT_MAX = 500;
const TEXT_MAX = 50_000;

export class Session {
  private aborter = new AbortController();
  private state: State = { phase: "idle" };
  private awaySeconds: number | null = null;
  private refused: string | null = null;
  private openId: string | null = null;

  constructor(
    private readonly host: Host,
    private readonly backend: Backend,
    private readonly memory: SuggestionMemory,
    private readonly listener: (update: Update) => void,
  ) {}

  /** Show the record's answers: those that are there, or new ones. `fresh` asks anew in any case. */
  open(id: string, { fresh = false } = {}): void {
    const signal = this.begin();
    this.openId = id;
    this.set({ phase: "asking" });
    void this.guarded(signal, async () => {
      const record = await this.patiently(signal, () => this.host.read(id));
      if (!record.subject && !record.text) return this.set({ phase: "empty" });
      await this.watch(record, await this.obtain(record, signal, fresh), signal);
    });
  }

  again({ fresh = false } = {}): void {
    if (this.openId) this.open(this.openId, { fresh });
  }

  /** Have one failed answer written again. */
  retry(answer: AnswerPublic): void {
    this.follow((signal) => this.patiently(signal, () => this.backend.retry(answer.id)));
  }

  /** Fetch the answers once more, such as after a rating, which may reveal who wrote them. */
  refresh(): void {
    this.follow(() => Promise.resolve());
  }

  /** Stop following: the page is going away. */
  close(): void {
    this.begin();
  }

  private follow(first: (signal: AbortSignal) => Promise<void>): void {
    if (this.state.phase !== "answers") return;
    const { record, suggestion } = this.state;
    const signal = this.begin();
    void this.guarded(signal, async () => {
      try {
        await first(signal);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        this.refused = error.message; // the answers that are there stay
      }
      await this.watch(record, suggestion.id, signal);
    });
  }

  private begin(): AbortSignal {
    this.aborter.abort(new DOMException("Another record was opened.", "AbortError"));
    this.aborter = new AbortController();
    this.awaySeconds = null;
    this.refused = null;
    return this.aborter.signal;
  }

  private async guarded(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (signal.aborted) return;
      const isTold = error instanceof Refused || error instanceof HostProblem;
      this.set({ phase: "problem", message: isTold ? error.message : null });
    }
  }

  /** One tab at a time asks for a record; the others find its suggestion remembered. */
  private async obtain(record: TicketRecord, signal: AbortSignal, fresh: boolean): Promise<string> {
    const work = async (): Promise<string> => {
      signal.throwIfAborted(); // it may have waited for another tab
      const known = fresh ? null : await this.known(record, signal);
      if (known) return known;
      const id = await this.patiently(signal, () => this.ask(record));
      await this.memory.remember(record, id);
      return id;
    };
    const id = await withLock(`replybench:ask:${this.host.source}:${record.id}`, work);
    signal.throwIfAborted();
    return id as string; // undefined is only for those who do not wait
  }

  private async known(record: TicketRecord, signal: AbortSignal): Promise<string | null> {
    const id = await this.memory.recall(record);
    if (!id) return null;
    try {
      await this.patiently(signal, () => this.backend.suggestion(id));
      return id;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.memory.forget(record);
      return null;
    }
  }

  private async ask(record: TicketRecord): Promise<string> {
    const clean = (text: string, most: number): string => text.replaceAll("\u0000", "").slice(0, most);
    const answer = await this.backend.ask({
      subject: clean(record.subject, SUBJECT_MAX),
      text: clean(record.text || record.subject, TEXT_MAX),
      earlier: record.earlier.map((turn) => ({ role: turn.role, text: clean(turn.text, TEXT_MAX) })),
      source: this.host.source,
      external_id: record.id,
    });
    return typeof answer === "string" ? answer : answer.id;
  }

  /** Poll until all answers are final: soon while they grow, more and more seldom while nothing happens. */
  private async watch(record: TicketRecord, id: string, signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(700, 5_000);
    let seen = "";
    for (;;) {
      const suggestion = await this.patiently(signal, () => this.backend.suggestion(id));
      this.set({ phase: "answers", record, suggestion });
      if (suggestion.is_complete) return;
      const now = JSON.stringify(suggestion.answers.map((answer) => [answer.status, answer.text.length]));
      if (now !== seen) backoff.reset();
      seen = now;
      await sleep(backoff.next(), signal);
    }
  }

  /** Do `work` until it succeeds or is refused for good; tells how long until the next try. */
  private async patiently<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const backoff = new Backoff(1_500, 30_000, 2);
    for (;;) {
      try {
        const result = await work();
        signal.throwIfAborted();
        this.tellAway(null);
        return result;
      } catch (error) {
        signal.throwIfAborted();
        if (!isTransient(error)) throw error;
      }
      const delay = backoff.next();
      this.tellAway(Math.ceil(delay / 1_000));
      await sleep(delay, signal);
    }
  }

  private tellAway(seconds: number | null): void {
    if (this.awaySeconds === seconds) return;
    this.awaySeconds = seconds;
    this.tell();
  }

  private set(state: State): void {
    this.state = state;
    this.tell();
  }

  private tell(): void {
    const { state, awaySeconds, refused } = this;
    this.listener({ state, awaySeconds, refused });
  }
}
