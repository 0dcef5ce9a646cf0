import { describe, expect, it } from "vitest";
import { fill, filledText, unfilled, valuesFor } from "../src/placeholders";
import { AGENT, record } from "./helpers";

const values = valuesFor(record("1").customer, AGENT);

describe("placeholders", () => {
  it("are filled from the record, and unknown ones stay in sight", () => {
    expect(filledText("Hi {name}, see {order_id}. {AGENT}", values)).toBe("Hi Maria Lopez, see {order_id}. Олена Коваль");
    expect(fill("Hi {first_name}, {order_id}!", values)).toEqual([
      { kind: "plain", text: "Hi " },
      { kind: "filled", text: "Maria" },
      { kind: "plain", text: ", " },
      { kind: "open", text: "{order_id}" },
      { kind: "plain", text: "!" },
    ]);
  });

  it("never give one person's name to another: {name_2} is somebody else", () => {
    expect(filledText("{name_2} wrote to {name}", values)).toBe("{name_2} wrote to Maria Lopez");
  });

  it("are put back before anything is sent", () => {
    expect(unfilled("Hello Maria Lopez (maria@example.org), Mariana says hi. Олена Коваль", values)).toBe(
      "Hello {name} ({email}), Mariana says hi. {agent}",
    );
  });

  it("leave braces that are no placeholders alone", () => {
    expect(filledText('{"a": 1} {} { name }', values)).toBe('{"a": 1} {} { name }');
  });

  it("treat a value as text, also where it looks like a pattern or a placeholder", () => {
    const odd = valuesFor({ name: "$& {email}" }, AGENT);
    expect(filledText("Hi {name}.", odd)).toBe("Hi $& {email}.");
    expect(unfilled("Hi $& {email}.", odd)).toBe("Hi {name}.");
  });
});
