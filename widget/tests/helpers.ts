import type { AnswerPublic, RubricPublic, SuggestionPublic } from "../src/contract";
import type { Agent, Host, HostAction, HttpRequest, TicketRecord } from "../src/host";

export const AGENT: Agent = { name: "Олена Коваль", email: "olena@merripot.example" };
const METRICS = ["content", "grammar", "structure", "style"];
export const SCORES = { content: 4, grammar: 5, structure: 3, style: 2 };

export const RUBRIC: RubricPublic = {
  version: 1,
  lowest: 1,
  highest: 5,
  positive_from: 3,
  language: "en",
  metrics: METRICS.map((key) => ({
    key,
    weight: 0.25,
    name: key,
    description: `About ${key}`,
    scale: [1, 2, 3, 4, 5].map((score) => `${key} ${score}`),
  })),
};

export function uuid(number: number): string {
  return `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
}

export function answer(number: number, changes: Partial<AnswerPublic> = {}): AnswerPublic {
  return {
    id: uuid(number),
    slot: "ABC"[number - 1] ?? "A",
    status: "done",
    text: "Hello {name}, it is done.",
    error: null,
    cut: [],
    sources: [],
    candidate: null,
    rating: null,
    ...changes,
  };
}

export function suggestion(number: number, changes: Partial<SuggestionPublic> = {}): SuggestionPublic {
  return {
    id: uuid(100 + number),
    ticket: { subject: "Help", text: "It does not work" },
    answers: [answer(1), answer(2)],
    is_complete: true,
    is_revealed: false,
    ...changes,
  };
}

export function record(id: string, changes: Partial<TicketRecord> = {}): TicketRecord {
  const customer = { name: "Maria Lopez", firstName: "Maria", email: "maria@example.org" };
  return { id, subject: "Help", text: `It does not work (${id})`, earlier: [], customer, ...changes };
}

type Reply = (request: HttpRequest) => unknown;

/** A helpdesk whose connection is a function of the test. */
export class FakeHost implements Host {
  readonly source = "zoho_crm";
  readonly actions: HostAction[] = [];
  readonly requests: HttpRequest[] = [];
  current: string | null = null;
  announce: (id: string) => void = () => undefined;
  records = new Map<string, TicketRecord>();

  constructor(public reply: Reply) {}

  start(onRecord: (id: string) => void): Promise<Agent> {
    this.announce = (id) => {
      this.current = id;
      onRecord(id);
    };
    return Promise.resolve(AGENT);
  }

  read(id: string): Promise<TicketRecord> {
    return Promise.resolve(this.records.get(id) ?? record(id));
  }

  currentRecordId(): Promise<string | null> {
    return Promise.resolve(this.current);
  }

  async send(request: HttpRequest): Promise<unknown> {
    this.requests.push(request);
    return await this.reply(request);
  }

  sent(method: string, path: string): HttpRequest[] {
    return this.requests.filter((request) => request.method === method && request.url.includes(path));
  }
}
