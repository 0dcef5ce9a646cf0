import type { Language, Source, TurnPublic } from "./contract";

/** Who wrote the ticket, as far as the record tells. Never sent to the backend; fills placeholders in answers. */
export interface Customer {
  name?: string;
  firstName?: string;
  email?: string;
  phone?: string;
  company?: string;
}

/** The signed-in Zoho user: the rater. */
export interface Agent {
  name: string;
  email?: string;
  language?: Language;
}

/** What the widget needs of a CRM case or a Desk ticket. Texts are plain. */
export interface TicketRecord {
  id: string;
  subject: string;
  text: string;
  earlier: TurnPublic[];
  customer: Customer;
  /** Set when only the description, not the conversation, could be read. */
  isPartial?: boolean;
}

export interface HttpRequest {
  method: "GET" | "POST" | "PUT";
  url: string;
  headers: Record<string, string>;
  body?: object;
}

/** Something that the helpdesk can do with an answer, beside copying it. */
export interface HostAction {
  key: "insert" | "solution" | "mail";
  usage: "inserted" | "sent";
  /** What leaves the house is asked for twice; the address is shown. Null: this record cannot do it. */
  confirm?: (record: TicketRecord) => string | null;
  run: (record: TicketRecord, text: string) => Promise<void>;
}

/** One helpdesk. Everything that differs between Zoho CRM and Zoho Desk is behind this. */
export interface Host {
  readonly source: Source;
  readonly actions: readonly HostAction[];
  /** Connect; `onRecord` is called with an id whenever another record is opened, `agent` resolves once known. */
  start(onRecord: (id: string) => void): Promise<Agent>;
  read(id: string): Promise<TicketRecord>;
  /** The record that is open at this moment, asked anew: guards against acting on the wrong one. */
  currentRecordId(): Promise<string | null>;
  /** Send through the helpdesk's connection, which adds the API key; resolves with the parsed body. */
  send(request: HttpRequest): Promise<unknown>;
}
