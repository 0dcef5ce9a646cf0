// Zoho Desk, through the extension SDK (ZOHODESK), in the right panel of a ticket.

import type { Language, TurnPublic } from "../contract";
import { CONNECTION, DESK_CONNECTION, ZOHO_DOMAIN } from "../config";
import { HostProblem, Unreachable, withTimeout } from "../errors";
import type { Agent, Customer, Host, HostAction, HttpRequest, TicketRecord } from "../host";
import { htmlFromPlain, plainFromHtml } from "../plain";
import { field, isFields, parsed, textOf } from "../wire";

interface DeskApp {
  instance: { on(event: string, listener: (data: unknown) => void): void };
  locale?: string;
}

interface ZohoDesk {
  extension: { onload(): Promise<DeskApp> };
  get(property: string): Promise<unknown>;
  request(request: object): Promise<unknown>;
  invoke(action: "INSERT", target: "ticket.replyEditor", value: { value: string; type: "replace" }): Promise<unknown>;
}

interface Thread {
  id: string;
  role: TurnPublic["role"];
  at: string;
}

const PATIENCE_MS = 20_000;
const RECORD_ID = /^\d{1,30}$/;
const MOST_THREADS = 6; // the newest customer message and up to five before it: each is a call of Desk's API

export class DeskHost implements Host {
  readonly source = "zoho_desk";
  readonly actions: readonly HostAction[] = [{ key: "insert", usage: "inserted", run: (_, text) => this.insert(text) }];

  constructor(private readonly desk: ZohoDesk) {}

  async start(onRecord: (id: string) => void): Promise<Agent> {
    const app = await this.desk.extension.onload();
    const announce = async (): Promise<void> => {
      const id = await this.currentRecordId();
      if (id) onRecord(id);
    };
    // The panel stays alive when the agent goes on to another ticket.
    app.instance.on("ticket_Shift", () => void announce());
    const user = field(await this.get("user"), "user");
    const name = textOf(field(user, "fullName")) || textOf(field(user, "email"));
    if (!name) throw new HostProblem("Zoho Desk did not say who is signed in.");
    const language: Language | undefined = app.locale?.startsWith("uk") ? "uk" : undefined;
    void announce();
    return { name, ...(language ? { language } : {}) };
  }

  async read(id: string): Promise<TicketRecord> {
    const ticket = field(await this.get("ticket"), "ticket");
    if (!isFields(ticket) || textOf(ticket.id) !== id) throw new HostProblem("The ticket changed while it was read.");
    const common = { id, subject: textOf(ticket.subject), customer: customerOf(ticket) };
    try {
      return { ...common, ...(await this.conversation(id)) };
    } catch {
      const text = plainFromHtml(textOf(ticket.description));
      return { ...common, text, earlier: [], isPartial: true };
    }
  }

  async currentRecordId(): Promise<string | null> {
    const id = textOf(field(await this.get("ticket.id"), "ticket.id"));
    return RECORD_ID.test(id) ? id : null;
  }

  send(request: HttpRequest): Promise<unknown> {
    return this.request(request, CONNECTION);
  }

  private get(property: string): Promise<unknown> {
    return withTimeout(this.desk.get(property), PATIENCE_MS);
  }

  /**
   * `responseType` is for reading only: with it the SDK leaves `postBody` out. Without it the response comes as
   * JSON in JSON in JSON.
   */
  private async request(request: HttpRequest, connectionLinkName: string): Promise<unknown> {
    const answer = await this.desk
      .request({
        url: request.url,
        type: request.method,
        headers: request.headers,
        data: {},
        connectionLinkName,
        ...(request.body ? { postBody: request.body } : { responseType: "json" }),
      })
      .catch((error: unknown) => error);
    return bodyOf(answer);
  }

  private async conversation(id: string): Promise<Pick<TicketRecord, "text" | "earlier">> {
    const base = `https://desk.${ZOHO_DOMAIN}/api/v1/tickets/${id}/threads`;
    const orgId = textOf(field(await this.get("portal.id"), "portal.id"));
    const read = (url: string): Promise<unknown> =>
      withTimeout(this.request({ method: "GET", url, headers: { orgId } }, DESK_CONNECTION), PATIENCE_MS);
    const threads = threadsOf(await read(`${base}?from=0&limit=50`));
    const last = threads.findLastIndex((thread) => thread.role === "customer");
    if (last < 0) throw new HostProblem("The ticket has no message of a customer.");
    const turns = await Promise.all(
      threads.slice(Math.max(0, last + 1 - MOST_THREADS), last + 1).map(async (thread) => ({
        role: thread.role,
        text: messageOf(await read(`${base}/${thread.id}?include=plainText`)),
      })),
    );
    return { text: turns.pop()?.text ?? "", earlier: turns.filter((turn) => turn.text) };
  }

  /** The reply editor takes HTML, so the text goes in escaped. */
  private async insert(text: string): Promise<void> {
    const value = { value: htmlFromPlain(text), type: "replace" } as const;
    await withTimeout(this.desk.invoke("INSERT", "ticket.replyEditor", value), PATIENCE_MS).catch(() => {
      throw new HostProblem("Zoho Desk has no open reply to insert into. Choose Reply on the ticket first.");
    });
  }
}

/** Unwrap what `ZOHODESK.request` returns: `{data: {statusMessage}}`, or `{response: "{statusMessage: …}"}` as text. */
function bodyOf(answer: unknown): unknown {
  let value = parsed(answer);
  for (const key of ["data", "response"]) {
    const inner = parsed(field(value, key));
    if (isFields(inner) && "statusMessage" in inner) value = inner;
  }
  const body = parsed(field(value, "statusMessage"));
  if (!isFields(body)) throw new Unreachable();
  return body;
}

/** Oldest first; drafts and private notes are no part of the conversation. */
function threadsOf(body: unknown): Thread[] {
  const data = field(body, "data");
  if (!Array.isArray(data)) throw new Unreachable();
  return data
    .filter((item) => field(item, "status") !== "DRAFT" && field(item, "visibility") !== "private")
    .map((item): Thread => ({
      id: textOf(field(item, "id")),
      role: field(item, "direction") === "out" ? "agent" : "customer",
      at: textOf(field(item, "createdTime")),
    }))
    .filter((thread) => RECORD_ID.test(thread.id))
    .sort((a, b) => a.at.localeCompare(b.at));
}

function messageOf(body: unknown): string {
  return textOf(field(body, "plainText")) || plainFromHtml(textOf(field(body, "content")));
}

function customerOf(ticket: Record<string, unknown>): Customer {
  const contact = field(ticket, "contact");
  const first = textOf(field(contact, "firstName"));
  const name = textOf(ticket.contactName) || [first, textOf(field(contact, "lastName"))].filter(Boolean).join(" ");
  const email = textOf(ticket.email) || textOf(field(contact, "email"));
  const phone = textOf(ticket.phone) || textOf(field(contact, "phone"));
  const company = textOf(ticket.accountName);
  return {
    ...(name ? { name } : {}),
    ...(first ? { firstName: first } : {}),
    ...(email ? { email } : {}),
    ...(phone ? { phone } : {}),
    ...(company ? { company } : {}),
  };
}
