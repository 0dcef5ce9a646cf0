// Zoho CRM, through the Embedded App SDK (ZOHO.*), on a record of Cases.

import type { Language } from "../contract";
import { CONNECTION } from "../config";
import { HostProblem, Unreachable, withTimeout } from "../errors";
import type { Agent, Customer, Host, HostAction, HttpRequest, TicketRecord } from "../host";
import { errorIn, field, isFields, parsed, textOf } from "../wire";

interface ZohoCrm {
  embeddedApp: {
    on(event: "PageLoad", listener: (data: unknown) => void): void;
    init(): unknown;
  };
  CRM: {
    CONFIG: { getCurrentUser(): Promise<unknown> };
    API: {
      getRecord(request: { Entity: string; RecordID: string }): Promise<unknown>;
      updateRecord(request: { Entity: string; APIData: object; Trigger: string[] }): Promise<unknown>;
      sendMail(request: { Entity: string; RecordID: string; APIData: object }): Promise<unknown>;
    };
    CONNECTION: { invoke(name: string, request: object): Promise<unknown> };
  };
}

const MODULE = "Cases";
const PATIENCE_MS = 20_000;
const RECORD_ID = /^\d{1,30}$/;

export class CrmHost implements Host {
  readonly source = "zoho_crm";
  readonly actions: readonly HostAction[] = [
    { key: "solution", usage: "inserted", run: (record, text) => this.fillSolution(record, text) },
    {
      key: "mail",
      usage: "sent",
      confirm: (record) => record.customer.email ?? null,
      run: (record, text) => this.mail(record, text),
    },
  ];
  private recordId: string | null = null;
  private agent: Agent = { name: "" };

  constructor(private readonly zoho: ZohoCrm) {}

  /** The listener must be there before `init`, or the event is missed. `init`'s own promise is not relied on. */
  async start(onRecord: (id: string) => void): Promise<Agent> {
    await new Promise<void>((resolve) => {
      this.zoho.embeddedApp.on("PageLoad", (data) => {
        const id = recordIdOf(data);
        if (!id) return;
        this.recordId = id;
        onRecord(id);
        resolve();
      });
      this.zoho.embeddedApp.init();
    });
    this.agent = agentOf(await withTimeout(this.zoho.CRM.CONFIG.getCurrentUser(), PATIENCE_MS));
    return this.agent;
  }

  async read(id: string): Promise<TicketRecord> {
    const record = await this.record(MODULE, id);
    return {
      id,
      subject: textOf(record.Subject),
      text: textOf(record.Description),
      earlier: [],
      customer: await this.customer(record),
    };
  }

  currentRecordId(): Promise<string | null> {
    return Promise.resolve(this.recordId);
  }

  async send(request: HttpRequest): Promise<unknown> {
    const answer = await this.zoho.CRM.CONNECTION.invoke(CONNECTION, {
      url: request.url,
      method: request.method,
      param_type: request.body ? 2 : 1, // 2: a JSON body
      parameters: request.body ?? {},
      headers: request.headers,
    });
    return bodyOf(answer);
  }

  private async record(module: string, id: string): Promise<Record<string, unknown>> {
    const answer = await withTimeout(this.zoho.CRM.API.getRecord({ Entity: module, RecordID: id }), PATIENCE_MS);
    const data = field(answer, "data");
    const record: unknown = Array.isArray(data) ? data[0] : undefined;
    if (!isFields(record)) throw new HostProblem("Zoho CRM did not return the record.");
    return record;
  }

  /** The case's own e-mail and phone come first; the contact in `Related_To` fills what is missing. */
  private async customer(record: Record<string, unknown>): Promise<Customer> {
    const contactId = textOf(field(record.Related_To, "id"));
    const contact = RECORD_ID.test(contactId) ? await this.record("Contacts", contactId).catch(() => ({})) : {};
    const value = (name: string): string => textOf(field(contact, name));
    return present({
      name: textOf(record.Reported_By) || value("Full_Name") || textOf(field(record.Related_To, "name")),
      firstName: textOf(record.Reported_By) ? "" : value("First_Name"),
      email: textOf(record.Email) || value("Email"),
      phone: textOf(record.Phone) || value("Phone") || value("Mobile"),
      company: textOf(field(record.Account_Name, "name")),
    });
  }

  private async fillSolution(record: TicketRecord, text: string): Promise<void> {
    const APIData = { id: record.id, Solution: text };
    const request = { Entity: MODULE, APIData, Trigger: ["workflow"] };
    succeeded(await withTimeout(this.zoho.CRM.API.updateRecord(request), PATIENCE_MS));
  }

  private async mail(record: TicketRecord, text: string): Promise<void> {
    const mail = {
      from: { user_name: this.agent.name, email: this.agent.email ?? "" },
      to: [{ user_name: record.customer.name ?? "", email: record.customer.email ?? "" }],
      subject: `Re: ${record.subject}`,
      content: text,
      mail_format: "text",
    };
    const request = { Entity: MODULE, RecordID: record.id, APIData: { data: [mail] } };
    succeeded(await withTimeout(this.zoho.CRM.API.sendMail(request), PATIENCE_MS));
  }
}

/** `EntityId` is a text or a list of one; anything else is not a record that we know. */
function recordIdOf(data: unknown): string | null {
  const id = field(data, "EntityId");
  const text = textOf(Array.isArray(id) ? id[0] : id);
  const entity = field(data, "Entity");
  return RECORD_ID.test(text) && (entity === undefined || entity === MODULE) ? text : null;
}

function agentOf(answer: unknown): Agent {
  const users = field(answer, "users");
  const user: unknown = Array.isArray(users) ? users[0] : answer;
  const name = textOf(field(user, "full_name")) || textOf(field(user, "email"));
  if (!name) throw new HostProblem("Zoho CRM did not say who is signed in.");
  const email = textOf(field(user, "email"));
  const locale = textOf(field(user, "language")) || textOf(field(user, "locale"));
  const language: Language | undefined = locale.startsWith("uk") ? "uk" : locale ? "en" : undefined;
  return { name, ...(email ? { email } : {}), ...(language ? { language } : {}) };
}

/** What `CONNECTION.invoke` wraps: `{code, details: {statusMessage: body or its JSON text}}`. */
function bodyOf(answer: unknown): unknown {
  const body = parsed(field(field(parsed(answer), "details"), "statusMessage"));
  if (!isFields(body)) throw new Unreachable();
  return body;
}

function succeeded(answer: unknown): void {
  const data = field(answer, "data");
  const code = field(Array.isArray(data) ? data[0] : undefined, "code");
  if (code !== "SUCCESS") throw new HostProblem(errorIn(answer)?.message ?? "Zoho CRM refused it.");
}

function present(customer: Customer): Customer {
  return Object.fromEntries(Object.entries(customer).filter(([, value]) => value)) as Customer;
}
