import { describe, expect, it } from "vitest";
import { ALL_TEXTS, firstLanguage, type Key, translator } from "../src/i18n";

const names = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();

const sources = Object.values(import.meta.glob<string>("../src/**/*.ts", { query: "?raw", import: "default", eager: true }));

describe("texts", () => {
  it.each(Object.keys(ALL_TEXTS.en))("%s is shown somewhere", (key) => {
    expect(sources.some((source) => source.includes(`"${key}"`))).toBe(true);
  });

  it.each(Object.keys(ALL_TEXTS.en) as Key[])("%s is there in both languages with the same values", (key) => {
    expect(ALL_TEXTS.uk[key]).not.toBe("");
    expect(names(ALL_TEXTS.uk[key])).toEqual(names(ALL_TEXTS.en[key]));
  });

  it("put values in, and a value that looks like a name of a value stays as it is", () => {
    expect(translator("en")("sent", { address: "{address}" })).toBe("Sent to {address}.");
    expect(translator("uk")("progress", { rated: 2, total: 3 })).toBe("Оцінено 2 з 3");
  });

  it("begin in the language that the agent chose, then the helpdesk's", () => {
    expect(firstLanguage("uk", "en")).toBe("uk");
    expect(firstLanguage(null, "uk")).toBe("uk");
    expect(firstLanguage("xx", "en")).toBe("en");
  });
});
