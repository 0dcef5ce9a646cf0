import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Backend } from "../src/backend";
import type { SuggestionCreate, SuggestionPublic } from "../src/contract";
import type { HttpRequest } from "../src/host";
import { SuggestionMemory } from "../src/memory";
import { Session, type Update } from "../src/session";
import { MemoryStore } from "../src/storage";
import { answer, FakeHost, record, suggestion, uuid } from "./helpers";

const realTimeout = globalThis.setTimeout;

let store: MemoryStore;
let host: FakeHost;
let updates: Update[];
let asked: SuggestionCreate[];
let stored: Map<string, SuggestionPublic>;
const open: Session[] = [];

/** A backend that makes one suggestion per request, whose text names the record. */
function reply(request: HttpRequest): unknown {
  if (request.method === "POST" && request.url.endsWith("/api/suggestions")) {
    const body = request.body as SuggestionCreate;
    asked.push(body);
    const made = suggestion(asked.length, { answers: [answer(asked.length, { text: `for ${body.external_id}` })] });
    stored.set(made.id, made);
    return { id: made.id, answers: [] };
  }
  if (request.url.endsWith("/retry")) return { id: uuid(1) };
  const id = request.url.split("/").at(-1) ?? "";
  return stored.get(id) ?? { code: "not_found", message: "There is no such suggestion." };
}

/** The same, with polls answered by the test. */
function polled(answerPoll: () => unknown): void {
  host.reply = (request) => (request.method === "GET" ? answerPoll() : reply(request));
}

function session(): Session {
  const memory = new SuggestionMemory(store, "zoho_crm", "Olena");
  const mine = updates;
  const one = new Session(host, new Backend(host, "https://b", "Olena"), memory, (update) => mine.push(update));
  open.push(one);
  return one;
}

const shown = (): string[] =>
  updates.flatMap(({ state }) => (state.phase === "answers" ? state.suggestion.answers.map((one) => one.text) : []));
const last = (): Update => updates.at(-1)!;
const settle = (ms = 100): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  store = new MemoryStore();
  updates = [];
  asked = [];
  stored = new Map();
  host = new FakeHost(reply);
});

afterEach(() => {
  for (const one of open.splice(0)) one.close();
  vi.useRealTimers();
});

/** The digest of a record is made in a thread, outside the fake timers: give it real time too. */
async function until(isTrue: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500 && !isTrue(); turn++) {
    await settle(10);
    await new Promise((resolve) => realTimeout(resolve, 2));
  }
  expect(isTrue()).toBe(true);
}

describe("a session", () => {
  it("sends the ticket once and shows its answers", async () => {
    session().open("7");
    await until(() => last()?.state.phase === "answers");
    expect(asked).toEqual([
      { subject: "Help", text: "It does not work (7)", earlier: [], source: "zoho_crm", external_id: "7" },
    ]);
    expect(shown()).toEqual(["for 7"]);
  });

  it("shows growing answers by polling, and stops when all are final", async () => {
    const texts = ["", "Hel", "Hello"];
    let polls = 0;
    polled(() => {
      const text = texts[polls++];
      const growing = { is_complete: false, answers: [answer(1, { status: "writing", text: text ?? "" })] };
      return text === undefined ? stored.get(uuid(101)) : suggestion(1, growing);
    });
    session().open("7");
    await until(() => shown().includes("for 7"));
    expect(shown()).toEqual(["", "Hel", "Hello", "for 7"]);
    await settle(60_000);
    expect(polls).toBe(4);
  });

  it("polls more and more seldom while nothing happens", async () => {
    const waiting = suggestion(1, { is_complete: false, answers: [answer(1, { status: "waiting", text: "" })] });
    let polls = 0;
    polled(() => {
      polls++;
      return waiting;
    });
    session().open("7");
    await until(() => polls === 1);
    await settle(60_000);
    expect(polls).toBeGreaterThan(10);
    expect(polls).toBeLessThan(22);
  });

  it("drops what comes for a record that has been left", async () => {
    let release: () => void = () => undefined;
    const slow = new Promise<void>((resolve) => (release = resolve));
    host.reply = async (request) => {
      if ((request.body as SuggestionCreate | undefined)?.external_id === "7") await slow;
      return reply(request);
    };
    const one = session();
    one.open("7");
    await until(() => host.requests.length === 1);
    one.open("8");
    await until(() => shown().includes("for 8"));
    release();
    await settle(60_000);
    await new Promise((resolve) => realTimeout(resolve, 20));
    expect(shown()).toEqual(["for 8"]);
  });

  it("comes back to a record without asking the models again, also in another tab", async () => {
    session().open("7");
    await until(() => shown().length === 1);
    session().open("7");
    await until(() => shown().length === 2);
    expect(asked).toHaveLength(1);
    expect(JSON.stringify([...store.keys().map((key) => store.get(key))])).not.toContain("does not work");
  });

  it("asks again when the customer has written since, and when the agent wants it", async () => {
    const one = session();
    one.open("7");
    await until(() => shown().length === 1);
    host.records.set("7", record("7", { text: "Still broken" }));
    one.open("7");
    await until(() => shown().length === 2);
    expect(asked.at(-1)?.text).toBe("Still broken");
    one.again({ fresh: true });
    await until(() => shown().length === 3);
    expect(asked).toHaveLength(3);
  });

  it("asks anew when the remembered suggestion is gone", async () => {
    session().open("7");
    await until(() => shown().length === 1);
    stored.clear();
    session().open("7");
    await until(() => shown().length === 2);
    expect(asked).toHaveLength(2);
  });

  it("tells that the service is away, tries again, and goes on", async () => {
    let isAway = true;
    host.reply = (request) => {
      if (isAway) throw new Error("network");
      return reply(request);
    };
    session().open("7");
    await until(() => last()?.awaySeconds === 2);
    isAway = false;
    await until(() => shown().length === 1);
    expect(last().awaySeconds).toBeNull();
  });

  it("shows the backend's own sentence when it refuses", async () => {
    host.reply = () => ({ code: "conflict", message: "No study is open." });
    session().open("7");
    await until(() => last()?.state.phase === "problem");
    expect(last().state).toEqual({ phase: "problem", message: "No study is open." });
  });

  it("says that the key is wrong, instead of trying for ever", async () => {
    host.reply = () => ({ code: "not_signed_in", message: "The API key is wrong." });
    session().open("7");
    await until(() => last()?.state.phase === "problem");
    expect(last().state).toEqual({ phase: "problem", message: "The API key is wrong." });
  });

  it("asks nobody when there is nothing to answer", async () => {
    host.records.set("7", record("7", { subject: "", text: "" }));
    session().open("7");
    await until(() => last()?.state.phase === "empty");
    expect(host.requests).toEqual([]);
  });

  it("has one failed answer written again and follows it", async () => {
    const one = session();
    one.open("7");
    await until(() => shown().length === 1);
    one.retry(answer(1));
    await until(() => shown().length === 2);
    expect(host.sent("POST", `/api/answers/${uuid(1)}/retry`)).toHaveLength(1);
  });

  it("keeps the answers when a retry is refused, and tells why", async () => {
    const one = session();
    one.open("7");
    await until(() => shown().length === 1);
    host.reply = (request) =>
      request.url.endsWith("/retry") ? { code: "conflict", message: "Ask the ticket again instead." } : reply(request);
    one.retry(answer(1));
    await until(() => last().refused !== null);
    expect(last()).toMatchObject({ refused: "Ask the ticket again instead.", state: { phase: "answers" } });
  });

  it.each([{ id: "x" }, { ...suggestion(1), answers: [{ id: uuid(1) }] }, "text", null, [1]])(
    "takes %j for no answer at all",
    async (body) => {
      polled(() => body);
      session().open("7");
      await until(() => last()?.awaySeconds === 2);
      expect(shown()).toEqual([]);
    },
  );
});
