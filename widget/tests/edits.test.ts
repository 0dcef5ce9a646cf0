import { describe, expect, it } from "vitest";
import { editShare } from "../src/edits";

describe("editShare", () => {
  it.each([
    ["nothing changed", "One two three.", "One two three.", 0],
    ["white space alone does not count", "One two", "One\n\n two ", 0],
    ["all rewritten", "one two", "three four", 1],
    ["all removed", "one two", "", 1],
    ["both empty", "", "", 0],
    ["one word of four replaced", "a b c d", "a b x d", 0.25],
    ["one word added to three", "a b c", "a b c d", 1 - 6 / 7],
    ["order counts", "a b", "b a", 0.5],
    ["Ukrainian words", "Добрий день", "Добрий вечір", 0.5],
  ])("%s", (_, offered, used, share) => {
    expect(editShare(offered, used)).toBeCloseTo(share, 10);
  });

  it("stays within 0 and 1 and is quick on long texts", () => {
    const long = Array.from({ length: 20_000 }, (_, index) => `w${index % 97}`).join(" ");
    const began = performance.now();
    const share = editShare(long, long.toUpperCase());
    expect(share).toBeGreaterThanOrEqual(0);
    expect(share).toBeLessThanOrEqual(1);
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});
