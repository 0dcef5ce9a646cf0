// Ratings and usage wait here until the backend has taken them. Each item is stored under a key of its own, so two
// tabs never overwrite each other's; every request is idempotent, so an item that went out twice is stored once.

import type { Backend } from "./backend";
import { Backoff } from "./backoff";
import type { RatingWrite, UsageWrite } from "./contract";
import { isWorthKeeping } from "./errors";
import { withLock } from "./locks";
import type { Store } from "./storage";
import { field, isFields, isId, parsed } from "./wire";

interface RatingItem {
  kind: "rating";
  answerId: string;
  rater: string;
  rating: RatingWrite;
}

interface UsageItem {
  kind: "usage";
  id: string;
  rater: string;
  usage: UsageWrite;
}

type Item = RatingItem | UsageItem;

export type OutboxEvent =
  | { type: "sent"; item: Item }
  | { type: "refused"; item: Item; message: string }
  | { type: "changed" };

const FOLDER = "outbox:";

function folderOf(rater: string): string {
  return `${FOLDER}${encodeURIComponent(rater)}:`;
}

export class Outbox {
  private readonly backoff = new Backoff(2_000, 60_000, 2);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private running: Promise<void> | null = null;

  constructor(
    private readonly store: Store,
    private readonly backend: Backend,
    private readonly rater: string,
    private readonly listener: (event: OutboxEvent) => void,
  ) {}

  /** How many items of this rater have not been taken yet. */
  get size(): number {
    return this.items().length;
  }

  /** A later rating of the same answer takes the place of one that still waits. */
  rate(answerId: string, rating: RatingWrite): Promise<void> {
    return this.put(`rating:${answerId}`, { kind: "rating", answerId, rater: this.rater, rating });
  }

  use(usage: UsageWrite): Promise<void> {
    const id = crypto.randomUUID();
    return this.put(`usage:${id}`, { kind: "usage", id, rater: this.rater, usage });
  }

  /** The rating of `answerId` that still waits, so that a reloaded page shows what was scored. */
  waitingRating(answerId: string): RatingWrite | null {
    const item = this.read(`${folderOf(this.rater)}rating:${answerId}`);
    return item?.kind === "rating" ? item.rating : null;
  }

  /** Try to send everything now. Calls while one is under way share it. */
  flush(): Promise<void> {
    this.running ??= withLock("replybench:outbox", () => this.sendAll(), { ifAvailable: true }).finally(() => {
      this.running = null;
      this.listener({ type: "changed" });
      if (this.size) this.later();
    });
    return this.running;
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private async put(name: string, item: Item): Promise<void> {
    this.store.set(folderOf(this.rater) + name, JSON.stringify(item));
    this.listener({ type: "changed" });
    this.backoff.reset();
    await this.running; // what is under way may have read the old content of this key
    await this.flush();
  }

  /** Keys of this rater, oldest kind first; on a shared computer the others' items wait for their own owner. */
  private items(): string[] {
    return this.store.keys().filter((key) => key.startsWith(folderOf(this.rater)));
  }

  private async sendAll(): Promise<void> {
    for (const key of this.items()) {
      const content = this.store.get(key);
      const item = this.read(key);
      if (!item) {
        this.store.remove(key);
        continue;
      }
      try {
        await this.send(item);
      } catch (error) {
        if (isWorthKeeping(error)) return;
        this.settle(key, content, { type: "refused", item, message: (error as Error).message });
        continue;
      }
      this.backoff.reset();
      this.settle(key, content, { type: "sent", item });
    }
  }

  /** Remove what was sent, unless it has been replaced meanwhile: then the new content goes out next. */
  private settle(key: string, content: string | null, event: OutboxEvent): void {
    if (this.store.get(key) === content) this.store.remove(key);
    this.listener(event);
  }

  private send(item: Item): Promise<void> {
    return item.kind === "rating"
      ? this.backend.rate(item.answerId, item.rating)
      : this.backend.use(item.id, item.usage);
  }

  private read(key: string): Item | null {
    const item = parsed(this.store.get(key) ?? "");
    if (!isFields(item)) return null;
    const isRating = item.kind === "rating" && isId(item.answerId) && isFields(field(item.rating, "scores"));
    const isUsage = item.kind === "usage" && isId(item.id) && isId(field(item.usage, "answer_id"));
    return isRating || isUsage ? (item as unknown as Item) : null;
  }

  private later(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.flush(), this.backoff.next());
  }
}
