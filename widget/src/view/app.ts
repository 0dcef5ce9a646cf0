import type { Language } from "../contract";
import type { Translate } from "../i18n";
import type { AnswerPanel } from "./answer-panel";
import { h, setText, show } from "./dom";

export interface Tab {
  slot: string;
  panel: AnswerPanel;
  mark: "busy" | "failed" | "rated" | "";
  name: string;
}

/** The frame: title and language, what is going on, the tabs A, B, C, and the foot. */
export class AppView {
  /** The slot whose answer is on the screen. */
  selected = "A";
  private readonly title = h("h1");
  private readonly language = h("button", { type: "button", class: "quiet" });
  private readonly notice = h("p", { class: "notice", role: "status" });
  private readonly message = h("p", { class: "empty" });
  private readonly again = h("button", { type: "button" });
  private readonly ticket = h("details", { class: "ticket" });
  private readonly tabList = h("div", { role: "tablist", class: "tabs" });
  private readonly panel = h("div", { role: "tabpanel", id: "panel" });
  private readonly foot = h("footer");
  private readonly askAgain = h("button", { type: "button", class: "quiet" });
  private tabs: Tab[] = [];

  constructor(
    root: HTMLElement,
    actions: { toggleLanguage(): void; again(): void; askAgain(): void },
    private readonly onSelect: () => void,
  ) {
    this.language.addEventListener("click", () => actions.toggleLanguage());
    this.again.addEventListener("click", () => actions.again());
    this.askAgain.addEventListener("click", () => actions.askAgain());
    this.tabList.addEventListener("keydown", (event) => this.onKey(event));
    const head = h("header", {}, this.title, this.askAgain, this.language);
    root.replaceChildren(head, this.notice, this.message, this.again, this.ticket, this.tabList, this.panel, this.foot);
    this.showMessage("");
  }

  setLanguage(language: Language, t: Translate): void {
    document.documentElement.lang = language;
    setText(this.title, t("title"));
    setText(this.language, language === "en" ? "УКР" : "EN");
    this.language.setAttribute("aria-label", t("language"));
    setText(this.again, t("again"));
    setText(this.askAgain, t("askAgain"));
  }

  setNotice(text: string): void {
    setText(this.notice, text);
    show(this.notice, text !== "");
  }

  /** Show one sentence in place of answers. */
  showMessage(text: string, { canRetry = false, isBusy = false } = {}): void {
    this.tabs = [];
    this.panel.replaceChildren();
    setText(this.message, text);
    this.message.classList.toggle("busy", isBusy);
    show(this.message, text !== "");
    show(this.again, canRetry);
    for (const part of [this.ticket, this.tabList, this.panel, this.askAgain]) show(part, false);
  }

  showTicket(title: string, subject: string, text: string, note: string): void {
    const parts = [h("summary", {}, title), subject ? h("strong", {}, subject) : "", h("div", { class: "text" }, text)];
    this.ticket.replaceChildren(...parts, note ? h("p", { class: "status" }, note) : "");
  }

  showTabs(tabs: Tab[], t: Translate): void {
    this.tabs = tabs;
    if (!tabs.some((tab) => tab.slot === this.selected)) this.selected = tabs[0]?.slot ?? "A";
    const hadFocus = this.tabList.contains(document.activeElement);
    this.tabList.replaceChildren(...tabs.map((tab) => this.tabButton(tab, t)));
    if (hadFocus) this.focusSelected();
    this.showSelected();
    show(this.message, false);
    show(this.again, false);
    for (const part of [this.ticket, this.tabList, this.panel, this.askAgain]) show(part, true);
  }

  setFoot(lines: string[]): void {
    this.foot.replaceChildren(...lines.filter(Boolean).map((line) => h("p", {}, line)));
  }

  private tabButton(tab: Tab, t: Translate): HTMLElement {
    const isSelected = tab.slot === this.selected;
    const label = [t("answer", { slot: tab.slot }), tab.name].filter(Boolean).join(": ");
    return h(
      "button",
      {
        type: "button",
        role: "tab",
        "aria-selected": String(isSelected),
        "aria-controls": "panel",
        "aria-label": label,
        tabindex: isSelected ? 0 : -1,
        class: tab.mark,
        click: () => this.select(tab.slot),
      },
      h("b", {}, tab.slot),
      h("span", { class: "mark", "aria-hidden": "true" }),
    );
  }

  private select(slot: string): void {
    this.selected = slot;
    for (const [index, button] of [...this.tabList.children].entries()) {
      const isSelected = this.tabs[index]?.slot === slot;
      button.setAttribute("aria-selected", String(isSelected));
      button.setAttribute("tabindex", isSelected ? "0" : "-1");
    }
    this.showSelected();
    this.onSelect();
  }

  private showSelected(): void {
    const panel = this.tabs.find((tab) => tab.slot === this.selected)?.panel.element;
    if (panel && this.panel.firstChild !== panel) this.panel.replaceChildren(panel);
  }

  private onKey(event: KeyboardEvent): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = this.tabs.findIndex((tab) => tab.slot === this.selected);
    const next = this.tabs[(at + step + this.tabs.length) % this.tabs.length];
    if (next) this.select(next.slot);
    this.focusSelected();
    event.preventDefault();
  }

  private focusSelected(): void {
    this.tabList.querySelector<HTMLElement>('[aria-selected="true"]')?.focus();
  }
}
