import { describe, expect, it } from "vitest";
import { htmlFromPlain, plainFromHtml } from "../src/plain";

describe("plainFromHtml", () => {
  it("keeps the words and the line breaks", () => {
    expect(plainFromHtml("<div>Hello,<br>the <b>pot</b> is empty.</div><ul><li>one</li><li>two</li></ul>")).toBe(
      "Hello,\nthe pot is empty.\n\none\n\ntwo",
    );
  });

  it("drops scripts, styles and the quoted history", () => {
    const html = "<style>p{}</style><p>New</p><script>steal()</script><blockquote>Old</blockquote>";
    expect(plainFromHtml(html)).toBe("New");
  });

  it("reads escaped markup as the text that the customer wrote", () => {
    expect(plainFromHtml("&lt;img src=x onerror=alert(1)&gt;")).toBe("<img src=x onerror=alert(1)>");
  });
});

describe("htmlFromPlain", () => {
  it.each([
    ["<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"],
    ["a & b\n\"c\" 'd'", "a &amp; b<br>&quot;c&quot; &#39;d&#39;"],
  ])("shows %s as it is", (text, html) => {
    expect(htmlFromPlain(text)).toBe(html);
    expect(plainFromHtml(html)).toBe(text);
  });
});
