import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Backend } from "../src/backend";
import type { RatingWrite } from "../src/contract";
import { Outbox, type OutboxEvent } from "../src/outbox";
import { MemoryStore } from "../src/storage";
import { FakeHost, SCORES, uuid } from "./helpers";

const rating = (content: number): RatingWrite => ({
  scores: { ...SCORES, content },
  comment: "",
  corrected_text: null,
  seconds: 3,
});
const usage = { answer_id: uuid(1), source: "zoho_crm", action: "copied", edit_share: 0 } as const;

let store: MemoryStore;
let isAway: boolean;
let events: OutboxEvent[];
let host: FakeHost;

function outbox(rater = "Olena"): Outbox {
  return new Outbox(store, new Backend(host, "https://b", rater), rater, (event) => events.push(event));
}

beforeEach(() => {
  vi.useFakeTimers();
  store = new MemoryStore();
  isAway = false;
  events = [];
  host = new FakeHost(() => {
    if (isAway) throw new Error("network");
    return { id: uuid(9) };
  });
});

afterEach(() => void vi.useRealTimers());

describe("the outbox", () => {
  it("sends at once and keeps nothing", async () => {
    const box = outbox();
    await box.rate(uuid(1), rating(4));
    expect(host.sent("PUT", `/api/answers/${uuid(1)}/rating`)).toHaveLength(1);
    expect(host.requests[0]?.headers["X-Rater"]).toBe("Olena");
    expect(box.size).toBe(0);
    expect(store.keys()).toEqual([]);
  });

  it("keeps what was scored while the backend is away, and sends it once when it is back", async () => {
    isAway = true;
    const box = outbox();
    await box.rate(uuid(1), rating(4));
    await box.use(usage);
    expect(box.size).toBe(2);
    expect(box.waitingRating(uuid(1))?.scores.content).toBe(4);
    host.requests.length = 0;
    isAway = false;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(host.sent("PUT", "/rating")).toHaveLength(1);
    expect(host.sent("PUT", "/api/usage/")).toHaveLength(1);
    expect(box.size).toBe(0);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(host.requests).toHaveLength(2);
  });

  it("survives a reload", async () => {
    isAway = true;
    const before = outbox();
    await before.rate(uuid(1), rating(4));
    before.stop();
    isAway = false;
    const after = outbox();
    expect(after.waitingRating(uuid(1))?.scores).toEqual(rating(4).scores);
    await after.flush();
    expect(after.size).toBe(0);
  });

  it("repeats a use under the id that it has, so that the backend can tell a repeat", async () => {
    isAway = true;
    const box = outbox();
    await box.use(usage);
    isAway = false;
    await vi.advanceTimersByTimeAsync(60_000);
    const urls = host.sent("PUT", "/api/usage/").map((request) => request.url);
    expect(urls.length).toBeGreaterThan(1);
    expect(new Set(urls).size).toBe(1);
  });

  it("sends the newest scores only, when they changed while the backend was away", async () => {
    isAway = true;
    const box = outbox();
    await box.rate(uuid(1), rating(4));
    await box.rate(uuid(1), rating(2));
    expect(box.size).toBe(1);
    host.requests.length = 0;
    isAway = false;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(host.requests.map((request) => (request.body as RatingWrite).scores.content)).toEqual([2]);
  });

  it("does not lose a change that is made while the earlier scores are on their way", async () => {
    let release: () => void = () => undefined;
    host.reply = () => new Promise((resolve) => (release = () => resolve({ id: uuid(9) })));
    const box = outbox();
    const first = box.rate(uuid(1), rating(4));
    await vi.advanceTimersByTimeAsync(0);
    const second = box.rate(uuid(1), rating(1));
    host.reply = () => ({ id: uuid(9) });
    release();
    await Promise.all([first, second]);
    const sent = host.requests.map((request) => (request.body as RatingWrite).scores.content);
    expect(sent.at(-1)).toBe(1);
    expect(box.size).toBe(0);
  });

  it("gives up what is refused for good, and tells why", async () => {
    host.reply = () => ({ code: "conflict", message: "The study is closed." });
    const box = outbox();
    await box.rate(uuid(1), rating(4));
    expect(box.size).toBe(0);
    expect(events).toContainEqual(expect.objectContaining({ type: "refused", message: "The study is closed." }));
  });

  it.each(["busy", "unavailable", "internal_error", "not_signed_in"])("keeps it on '%s'", async (code) => {
    host.reply = () => ({ code, message: "Later." });
    const box = outbox();
    await box.rate(uuid(1), rating(4));
    expect(box.size).toBe(1);
  });

  it("leaves another agent's items on a shared computer to that agent", async () => {
    isAway = true;
    await outbox("Olena").rate(uuid(1), rating(4));
    isAway = false;
    host.requests.length = 0;
    const other = outbox("Marek");
    await other.flush();
    expect(other.waitingRating(uuid(1))).toBeNull();
    expect(host.requests.filter((request) => request.headers["X-Rater"] === "Marek")).toEqual([]);
  });

  it("drops what it cannot read, such as something that another page wrote", async () => {
    store.set("outbox:Olena:rating:x", '{"kind": "rating", "answerId": "../../admin"}');
    store.set("outbox:Olena:junk", "not JSON");
    await outbox().flush();
    expect(host.requests).toEqual([]);
    expect(store.keys()).toEqual([]);
  });

  it("waits longer and longer between tries, up to a minute", async () => {
    isAway = true;
    await outbox().rate(uuid(1), rating(4));
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    expect(host.requests.length).toBeGreaterThan(10);
    expect(host.requests.length).toBeLessThan(20);
  });
});
