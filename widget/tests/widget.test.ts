// The whole widget in a document, with a helpdesk whose connection is a small backend of the test.
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { AnswerPublic, RatingWrite, SuggestionPublic, UsageWrite } from "../src/contract";
import type { HttpRequest } from "../src/host";
import { startWidget } from "../src/widget";
import { AGENT, answer, FakeHost, record, RUBRIC, suggestion, uuid } from "./helpers";

const XSS = [
  "<script>window.hit = 1</script>",
  "<img src=x onerror=\"window.hit = 1\">",
  "<svg/onload=window.hit=1>",
  "[click](javascript:window.hit=1)",
  "</div><iframe srcdoc='<script>parent.hit=1</script>'>",
  "{{constructor.constructor('window.hit=1')()}}",
];

let host: FakeHost;
let root: HTMLElement;
let ratings: Map<string, RatingWrite>;
let uses: Map<string, UsageWrite>;
let current: SuggestionPublic;

function reply({ method, url, body }: HttpRequest): unknown {
  const id = url.split("/").at(-1)!;
  if (url.includes("/api/rubric")) return { ...RUBRIC, language: url.slice(-2) };
  if (method === "POST") return { id: current.id, answers: [] };
  if (url.endsWith("/rating")) return ratings.set(url.split("/").at(-2)!, body as RatingWrite) && { id: uuid(5) };
  if (url.includes("/api/usage/")) return uses.set(id, body as UsageWrite) && { id };
  const rated = current.answers.map((one): AnswerPublic => ({ ...one, rating: ratings.get(one.id) ?? null }));
  const is_revealed = rated.every((one) => one.rating);
  const named = rated.map((one) => ({ ...one, candidate: is_revealed ? { name: `Model ${one.slot}`, note: "" } : null }));
  return { ...current, answers: named, is_revealed };
}

async function open(id = "7"): Promise<void> {
  await startWidget(host, root);
  host.announce(id);
  await vi.waitFor(() => expect(root.querySelector("[role=tab]")).not.toBeNull());
}

const query = <T extends HTMLElement>(selector: string): T => root.querySelector<T>(selector)!;
const button = (text: string): HTMLButtonElement =>
  [...root.querySelectorAll("button")].find((one) => one.textContent === text && !one.closest("[hidden]"))!;
const visible = (): string => query(".reply .text").textContent ?? "";

function score(value: number): void {
  for (const key of ["content", "grammar", "structure", "style"]) {
    const slot = query('[aria-selected="true"] b').textContent;
    const input = query<HTMLInputElement>(`input[name="${slot}-${key}"][value="${value}"]`);
    input.checked = true;
    input.dispatchEvent(new Event("change"));
  }
}

beforeEach(() => {
  localStorage.clear();
  ratings = new Map();
  uses = new Map();
  current = suggestion(1);
  host = new FakeHost(reply);
  root = document.createElement("main");
  document.body.replaceChildren(root);
  delete (window as { hit?: number }).hit;
});

describe("the widget", () => {
  it("shows the answers blind, with placeholders filled here only", async () => {
    await open();
    expect(visible()).toBe("Hello Maria Lopez, it is done.");
    expect([...root.querySelectorAll("[role=tab] b")].map((tab) => tab.textContent)).toEqual(["A", "B"]);
    expect(JSON.stringify(host.requests)).not.toContain("Maria");
  });

  it("stores scores once although the button is clicked twice, and tells who wrote what after the last", async () => {
    await open();
    for (const slot of ["A", "B"]) {
      query<HTMLElement>(`[aria-label^="Answer ${slot}"][role=tab]`).click();
      score(4);
      const save = button("Save scores");
      save.click();
      save.click();
      await vi.waitFor(() => expect(root.textContent).toContain("Saved."));
      if (slot === "A") expect(root.textContent).not.toContain("Model A");
    }
    await vi.waitFor(() => expect(root.textContent).toContain("Model B"));
    expect(host.sent("PUT", "/rating")).toHaveLength(2);
    expect([...ratings.keys()]).toEqual([uuid(1), uuid(2)]);
    expect(ratings.get(uuid(1))).toMatchObject({ scores: { content: 4, style: 4 }, corrected_text: null });
  });

  it("names the metrics that are still to be scored, and does not send before", async () => {
    await open();
    const input = query<HTMLInputElement>('input[name="A-grammar"][value="2"]');
    input.checked = true;
    input.dispatchEvent(new Event("change"));
    expect(root.textContent).toContain("Still to score: content, structure, style");
    expect(button("Save scores").disabled).toBe(true);
    query("form").dispatchEvent(new Event("submit", { cancelable: true }));
    expect(host.sent("PUT", "/rating")).toEqual([]);
  });

  it("tells of use with how far the text was edited, and keeps an edit as the better answer without its names", async () => {
    const writeText = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
    await open();
    button("Edit").click();
    const editor = query<HTMLTextAreaElement>("textarea.text");
    editor.value = "Hello Maria Lopez, it is repaired.";
    editor.dispatchEvent(new Event("input"));
    button("Done").click();
    button("Copy").click();
    await vi.waitFor(() => expect(uses.size).toBe(2));
    expect(writeText).toHaveBeenCalledWith("Hello Maria Lopez, it is repaired.");
    const [edited, copied] = [...uses.values()];
    expect(edited).toMatchObject({ answer_id: uuid(1), source: "zoho_crm", action: "edited" });
    expect(copied).toMatchObject({ action: "copied", edit_share: edited!.edit_share });
    expect(edited!.edit_share).toBeCloseTo(1 / 8);
    query<HTMLInputElement>(".keep input").checked = true;
    score(3);
    button("Save scores").click();
    await vi.waitFor(() => expect(ratings.size).toBe(1));
    expect(ratings.get(uuid(1))?.corrected_text).toBe("Hello {name}, it is repaired.");
  });

  it("does nothing on another record than the one that the answer is for", async () => {
    const run = vi.fn(async () => undefined);
    host.actions.push({ key: "insert", usage: "inserted", run });
    await open();
    host.current = "8"; // the agent has gone on, and the event is still on its way
    button("Insert into reply").click();
    await vi.waitFor(() => expect(root.textContent).toContain("Another record is open now"));
    expect(run).not.toHaveBeenCalled();
    expect(uses.size).toBe(0);
    host.current = "7";
    button("Insert into reply").click();
    await vi.waitFor(() => expect(run).toHaveBeenCalledWith(record("7"), "Hello Maria Lopez, it is done."));
    await vi.waitFor(() => expect([...uses.values()]).toMatchObject([{ action: "inserted", edit_share: 0 }]));
  });

  it("asks before it sends, with the address in view", async () => {
    const run = vi.fn(async () => undefined);
    host.actions.push({ key: "mail", usage: "sent", run, confirm: (one) => one.customer.email ?? null });
    await open();
    button("Send as e-mail").click();
    expect(root.textContent).toContain("Send to maria@example.org?");
    expect(run).not.toHaveBeenCalled();
    button("Cancel").click();
    button("Send as e-mail").click();
    button("Send").click();
    await vi.waitFor(() => expect(run).toHaveBeenCalledTimes(1));
  });

  it("changes the language and keeps what was typed", async () => {
    await open();
    score(5);
    query<HTMLTextAreaElement>(".scores textarea").value = "so-so";
    button("УКР").click();
    await vi.waitFor(() => expect(root.textContent).toContain("Оцініть відповідь A"));
    expect(query<HTMLTextAreaElement>(".scores textarea").value).toBe("so-so");
    expect(root.querySelectorAll(".steps input:checked")).toHaveLength(4);
    expect(button("Зберегти оцінки").disabled).toBe(false);
    expect(localStorage.getItem("replybench:language")).toBe("uk");
  });

  it("tells of a failed answer and offers to try again, beside the others", async () => {
    const error = { code: "timeout", message: "This answer took too long.", request_id: null };
    current = suggestion(1, { answers: [answer(1, { status: "failed", text: "", error }), answer(2)] });
    await open();
    expect(root.textContent).toContain("This answer took too long.");
    button("Try again").click();
    await vi.waitFor(() => expect(host.sent("POST", `/api/answers/${uuid(1)}/retry`)).toHaveLength(1));
  });

  it("tells when a rating was refused for good", async () => {
    await open();
    host.reply = (request) =>
      request.method === "PUT" ? { code: "conflict", message: "The study is closed." } : reply(request);
    score(4);
    button("Save scores").click();
    await vi.waitFor(() => expect(root.textContent).toContain("Not stored: The study is closed."));
    expect(button("Save scores").disabled).toBe(false);
  });

  it("says what the agent scores as, percent-encoded for the header", async () => {
    await open();
    expect(root.textContent).toContain(`You score as ${AGENT.name}`);
    expect(host.requests[0]?.headers["X-Rater"]).toBe(encodeURIComponent(AGENT.name));
  });

  it.each(XSS)("shows %s as text, wherever it comes from", async (evil) => {
    const sources = [{ title: evil, url: "javascript:window.hit=1" }];
    const error = { code: "failed", message: evil, request_id: null };
    const answers = [answer(1, { text: evil, sources }), answer(2, { status: "failed", text: evil, error })];
    current = suggestion(1, { ticket: { subject: evil, text: evil }, answers });
    host.records.set("7", record("7", { subject: evil, text: evil, customer: { name: evil, email: evil } }));
    await open();
    expect(visible()).toBe(evil.replaceAll("{name}", evil));
    query<HTMLElement>('[role=tab][tabindex="-1"]').click();
    expect(root.textContent).toContain(evil);
    expect(root.querySelector("script, img, svg, iframe, a")).toBeNull();
    expect((window as { hit?: number }).hit).toBeUndefined();
  });
});
