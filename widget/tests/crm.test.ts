import { beforeEach, describe, expect, it, vi } from "vitest";
import { HostProblem, Unreachable } from "../src/errors";
import { CrmHost } from "../src/hosts/crm";

const CASE = {
  id: "77",
  Subject: "Locked out",
  Description: "Help <b>me</b>",
  Email: null,
  Related_To: { id: "500", name: "Maria Lopez" },
  Account_Name: { name: "Acme" },
};
const CONTACT = { First_Name: "Maria", Full_Name: "Maria Lopez", Email: "maria@example.org", Phone: "123" };
const USER = { users: [{ full_name: "Olena Koval", email: "olena@x.example", locale: "uk_UA" }] };
const done = { data: [{ code: "SUCCESS" }] };

function sdk() {
  const order: string[] = [];
  let listener: (data: unknown) => void = () => undefined;
  return {
    order,
    pageLoad: (data: unknown): void => listener(data),
    zoho: {
      embeddedApp: {
        on: (event: "PageLoad", given: (data: unknown) => void): void => {
          order.push(`on ${event}`);
          listener = given;
        },
        init: (): Promise<void> => {
          order.push("init");
          return new Promise(() => undefined); // as the SDK's own: it may never settle
        },
      },
      CRM: {
        CONFIG: { getCurrentUser: vi.fn(async (): Promise<unknown> => USER) },
        API: {
          getRecord: vi.fn(async ({ Entity }: { Entity: string }) => ({ data: [Entity === "Cases" ? CASE : CONTACT] })),
          updateRecord: vi.fn(async (): Promise<unknown> => done),
          sendMail: vi.fn(async (): Promise<unknown> => done),
        },
        CONNECTION: { invoke: vi.fn(async (): Promise<unknown> => ({})) },
      },
    },
  };
}

let crm: ReturnType<typeof sdk>;
let host: CrmHost;
let opened: string[];

beforeEach(async () => {
  crm = sdk();
  host = new CrmHost(crm.zoho);
  opened = [];
  const started = host.start((id) => opened.push(id));
  crm.pageLoad({ Entity: "Cases", EntityId: ["77"] });
  await started;
});

const action = (key: string) => host.actions.find((candidate) => candidate.key === key)!;

describe("the CRM host", () => {
  it("listens before it begins, and knows the agent and the language", async () => {
    expect(crm.order).toEqual(["on PageLoad", "init"]);
    const again = new CrmHost(crm.zoho).start(() => undefined);
    crm.pageLoad({ EntityId: "78" });
    expect(await again).toEqual({ name: "Olena Koval", email: "olena@x.example", language: "uk" });
  });

  it("takes ids of cases only, whatever a message says", async () => {
    for (const data of [{ Entity: "Leads", EntityId: "1" }, { EntityId: "../1" }, { EntityId: { a: 1 } }, null, "x"]) {
      crm.pageLoad(data);
    }
    crm.pageLoad({ Entity: "Cases", EntityId: "79" });
    expect(opened).toEqual(["77", "79"]);
    expect(await host.currentRecordId()).toBe("79");
  });

  it("reads the case, and the contact for what the case does not say", async () => {
    expect(await host.read("77")).toEqual({
      id: "77",
      subject: "Locked out",
      text: "Help <b>me</b>",
      earlier: [],
      customer: { name: "Maria Lopez", firstName: "Maria", email: "maria@example.org", phone: "123", company: "Acme" },
    });
  });

  it("sends a body as the payload and reads it back as JSON text or as an object", async () => {
    const { invoke } = crm.zoho.CRM.CONNECTION;
    for (const statusMessage of ['{"id": "1"}', { id: "1" }]) {
      invoke.mockResolvedValueOnce({ code: "SUCCESS", details: { statusMessage } });
      const request = { method: "POST", url: "https://x/api", headers: { "X-Rater": "O" }, body: { a: 1 } } as const;
      expect(await host.send(request)).toEqual({ id: "1" });
    }
    expect(invoke).toHaveBeenLastCalledWith("replybench", {
      url: "https://x/api",
      method: "POST",
      param_type: 2,
      parameters: { a: 1 },
      headers: { "X-Rater": "O" },
    });
  });

  it.each([null, "", { code: "ERROR" }, { details: { statusMessage: "<html>Bad gateway</html>" } }])(
    "says that nothing came back for %j",
    async (answer) => {
      crm.zoho.CRM.CONNECTION.invoke.mockResolvedValueOnce(answer);
      await expect(host.send({ method: "GET", url: "https://x", headers: {} })).rejects.toBeInstanceOf(Unreachable);
    },
  );

  it("writes the Solution of the record that it was asked for", async () => {
    await action("solution").run(await host.read("77"), "Do this.");
    expect(crm.zoho.CRM.API.updateRecord).toHaveBeenCalledWith({
      Entity: "Cases",
      APIData: { id: "77", Solution: "Do this." },
      Trigger: ["workflow"],
    });
  });

  it("says so when Zoho refuses", async () => {
    crm.zoho.CRM.API.updateRecord.mockResolvedValueOnce({ data: [{ code: "INVALID_DATA" }] });
    await expect(action("solution").run(await host.read("77"), "x")).rejects.toBeInstanceOf(HostProblem);
  });

  it("sends mail as plain text to the address that was shown", async () => {
    const record = await host.read("77");
    expect(action("mail").confirm?.(record)).toBe("maria@example.org");
    await action("mail").run(record, "<b>Hi</b>");
    expect(crm.zoho.CRM.API.sendMail).toHaveBeenCalledWith({
      Entity: "Cases",
      RecordID: "77",
      APIData: {
        data: [
          {
            from: { user_name: "Olena Koval", email: "olena@x.example" },
            to: [{ user_name: "Maria Lopez", email: "maria@example.org" }],
            subject: "Re: Locked out",
            content: "<b>Hi</b>",
            mail_format: "text",
          },
        ],
      },
    });
  });
});
