import { beforeEach, describe, expect, it, vi } from "vitest";
import { HostProblem, Unreachable } from "../src/errors";
import { DeskHost } from "../src/hosts/desk";

interface Request {
  url: string;
  type: string;
  headers: Record<string, string>;
  postBody?: object;
  responseType?: string;
  connectionLinkName: string;
}

const THREADS = [
  { id: "3", direction: "in", createdTime: "2026-01-03", status: "SUCCESS" },
  { id: "4", direction: "out", createdTime: "2026-01-04", status: "DRAFT" },
  { id: "1", direction: "in", createdTime: "2026-01-01" },
  { id: "2", direction: "out", createdTime: "2026-01-02" },
  { id: "5", direction: "in", createdTime: "2026-01-05", visibility: "private" },
];
const MESSAGES: Record<string, object> = {
  "1": { content: "<div>First &lt;script&gt;</div>" },
  "2": { plainText: "An answer" },
  "3": { plainText: "And now?" },
};

function sdk() {
  let ticketId = "900";
  const listeners: Record<string, (data: unknown) => void> = {};
  const values: Record<string, () => unknown> = {
    user: () => ({ fullName: "Olena Koval" }),
    ticket: () => ({ id: ticketId, subject: "Pot", description: "<p>Old text</p>", email: "m@x.example", contactName: "Maria" }),
    "ticket.id": () => ticketId,
    "portal.id": () => "42",
  };
  const request = vi.fn(async ({ url }: Request): Promise<unknown> => {
    const thread = /threads\/(\d+)/.exec(url)?.[1];
    return { data: { statusMessage: thread ? MESSAGES[thread] : { data: THREADS } } };
  });
  return {
    request,
    listeners,
    shift: (id: string): void => {
      ticketId = id;
      listeners.ticket_Shift?.({});
    },
    desk: {
      extension: {
        onload: async () => ({
          locale: "en",
          instance: { on: (event: string, listener: (data: unknown) => void) => void (listeners[event] = listener) },
        }),
      },
      get: async (name: string) => ({ status: "success", [name]: values[name]?.() }),
      request,
      invoke: vi.fn(async (): Promise<unknown> => ({})),
    },
  };
}

let zoho: ReturnType<typeof sdk>;
let host: DeskHost;
let opened: string[];

beforeEach(async () => {
  zoho = sdk();
  host = new DeskHost(zoho.desk as unknown as ConstructorParameters<typeof DeskHost>[0]);
  opened = [];
  await host.start((id) => opened.push(id));
});

describe("the Desk host", () => {
  it("follows the agent from ticket to ticket", async () => {
    await vi.waitFor(() => expect(opened).toEqual(["900"]));
    zoho.shift("901");
    await vi.waitFor(() => expect(opened).toEqual(["900", "901"]));
  });

  it("takes the customer's newest message, and what came before it in order, without drafts and private notes", async () => {
    expect(await host.read("900")).toEqual({
      id: "900",
      subject: "Pot",
      text: "And now?",
      earlier: [
        { role: "customer", text: "First <script>" },
        { role: "agent", text: "An answer" },
      ],
      customer: { name: "Maria", email: "m@x.example" },
    });
    expect(zoho.request.mock.calls[0]?.[0]).toMatchObject({
      url: "https://desk.zoho.com/api/v1/tickets/900/threads?from=0&limit=50",
      headers: { orgId: "42" },
      connectionLinkName: "replybench_desk",
    });
  });

  it("falls back to the description, and says so, when the conversation cannot be read", async () => {
    zoho.request.mockRejectedValue("no connection");
    expect(await host.read("900")).toMatchObject({ text: "Old text", earlier: [], isPartial: true });
  });

  it("does not read one ticket under the id of another", async () => {
    await expect(host.read("899")).rejects.toBeInstanceOf(HostProblem);
  });

  it("asks for JSON when it reads only: with responseType the SDK would leave the body out", async () => {
    zoho.request.mockImplementation(async () => ({ data: { statusMessage: { ok: true } } }));
    await host.send({ method: "GET", url: "https://x", headers: {} });
    await host.send({ method: "PUT", url: "https://x", headers: {}, body: { a: 1 } });
    const [get, put] = zoho.request.mock.calls.map(([request]) => request);
    expect(get).toMatchObject({ type: "GET", responseType: "json", connectionLinkName: "replybench" });
    expect(put).toMatchObject({ type: "PUT", postBody: { a: 1 } });
    expect(put).not.toHaveProperty("responseType");
  });

  it("unwraps JSON in JSON in JSON", async () => {
    const inner = JSON.stringify({ statusMessage: JSON.stringify({ id: "1", text: "Привіт" }) });
    zoho.request.mockResolvedValueOnce(JSON.stringify({ response: inner, statusCode: 200 }));
    expect(await host.send({ method: "POST", url: "https://x", headers: {}, body: {} })).toEqual({ id: "1", text: "Привіт" });
  });

  it("hears an error of the backend also when the SDK rejects with it", async () => {
    const body = { code: "conflict", message: "The study is closed." };
    zoho.request.mockRejectedValueOnce(JSON.stringify({ response: JSON.stringify({ statusMessage: body }) }));
    expect(await host.send({ method: "POST", url: "https://x", headers: {}, body: {} })).toEqual(body);
  });

  it.each([undefined, "Gateway timeout", { data: {} }, { data: { statusMessage: "" } }])(
    "says that nothing came back for %j",
    async (answer) => {
      zoho.request.mockResolvedValueOnce(answer);
      await expect(host.send({ method: "GET", url: "https://x", headers: {} })).rejects.toBeInstanceOf(Unreachable);
    },
  );

  it("inserts into the reply as text, never as markup", async () => {
    await host.actions[0]?.run(await host.read("900"), 'Hi\n<img src=x onerror="alert(1)">');
    expect(zoho.desk.invoke).toHaveBeenCalledWith("INSERT", "ticket.replyEditor", {
      value: "Hi<br>&lt;img src=x onerror=&quot;alert(1)&quot;&gt;",
      type: "replace",
    });
  });
});
