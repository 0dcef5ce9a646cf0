import type { AnswerPublic, RubricPublic, Scores } from "../contract";
import { editShare } from "../edits";
import type { HostAction, TicketRecord } from "../host";
import type { Translate } from "../i18n";
import { fill, filledText } from "../placeholders";
import { h, link, setText, show } from "./dom";
import { type RatingState, ScoreForm } from "./score-form";

/** What the panel can ask for. The texts are those on the screen: placeholders filled, edits included. */
export interface PanelActions {
  copy(text: string, share: number): Promise<string>;
  run(action: HostAction, text: string, share: number): Promise<string>;
  edited(share: number): void;
  retry(): void;
  rate(scores: Scores, comment: string, correctedText: string | null): void;
}

export interface PanelInput {
  answer: AnswerPublic;
  rating: { scores: Scores; comment: string } | null;
  ratingState: RatingState;
  problem: string | null;
}

/** One answer: its text, what can be done with it, and its scores. */
export class AnswerPanel {
  readonly element: HTMLElement;
  private readonly form: ScoreForm;
  private readonly author = h("p", { class: "author" });
  private readonly text = h("div", { class: "text" });
  private readonly editor = h("textarea", { class: "text", rows: 10, input: () => this.onEdit() });
  private readonly status = h("p", { class: "status" });
  private readonly notes = h("ul", { class: "notes" });
  private readonly sources = h("p", { class: "sources" });
  private readonly buttons = h("div", { class: "buttons" });
  private readonly confirm = h("div", { class: "confirm", role: "group" });
  private readonly message = h("p", { class: "message", role: "status" });
  private readonly editButton: HTMLButtonElement;
  private readonly resetButton: HTMLButtonElement;
  private readonly retryButton: HTMLButtonElement;
  private answer: AnswerPublic;
  private offered = "";
  private used: string | null = null; // the agent's own version, once it differs
  private isEditing = false;
  private toldShare = 0;

  constructor(
    private readonly t: Translate,
    rubric: RubricPublic,
    private readonly record: TicketRecord,
    private readonly values: ReadonlyMap<string, string>,
    hostActions: readonly HostAction[],
    private readonly actions: PanelActions,
    input: PanelInput,
  ) {
    this.answer = input.answer;
    this.form = new ScoreForm(t, rubric, input.answer.slot, (scores, comment, keepEdit) =>
      actions.rate(scores, comment, keepEdit ? this.used : null),
    );
    this.editButton = h("button", { type: "button", click: () => this.toggleEditor() });
    this.resetButton = h("button", { type: "button", click: () => this.reset() }, t("reset"));
    this.retryButton = h("button", { type: "button", click: () => actions.retry() }, t("again"));
    this.editor.setAttribute("aria-label", t("answer", { slot: input.answer.slot }));
    this.buttons.append(
      this.copyButton(),
      ...hostActions.map((action) => this.actionButton(action)),
      this.editButton,
      this.resetButton,
    );
    const left = [this.author, this.text, this.editor, this.status, this.notes, this.sources, this.retryButton];
    const reply = h("div", { class: "reply" }, ...left, this.buttons, this.confirm, this.message);
    this.element = h("div", { class: "panel" }, reply, this.form.element);
    this.update(input);
  }

  update(input: PanelInput): void {
    const { answer } = input;
    this.answer = answer;
    const isDone = answer.status === "done";
    this.showAuthor();
    this.showText();
    this.showNotes();
    const words = { waiting: this.t("waiting"), writing: this.t("writing"), cancelled: this.t("cancelled"), done: "" };
    setText(this.status, answer.status === "failed" ? (answer.error?.message ?? this.t("failed")) : words[answer.status]);
    this.status.classList.toggle("busy", answer.status === "waiting" || answer.status === "writing");
    this.status.classList.toggle("bad", answer.status === "failed");
    show(this.status, !isDone);
    show(this.retryButton, answer.status === "failed" || answer.status === "cancelled");
    show(this.buttons, isDone);
    show(this.form.element, isDone);
    this.element.setAttribute("aria-busy", String(!isDone));
    const { rating, ratingState: state, problem } = input;
    this.form.update({ answer, rating, state, problem, canKeepEdit: this.used !== null });
  }

  /** Take what was typed in another panel of the same answer. */
  carryOver(other: AnswerPanel): void {
    this.used = other.used;
    this.toldShare = other.toldShare;
    this.form.carryOver(other.form);
    this.form.allowKeepEdit(this.used !== null);
    this.showText();
    this.showNotes();
  }

  private showAuthor(): void {
    const { candidate } = this.answer;
    this.author.replaceChildren(
      candidate ? h("strong", {}, candidate.name) : "",
      candidate?.note ? h("small", {}, candidate.note) : "",
    );
    show(this.author, candidate !== null);
  }

  private showText(): void {
    this.offered = filledText(this.answer.text, this.values);
    const text = this.used ?? this.answer.text;
    const nodes = fill(text, this.values).map(({ kind, text: part }) =>
      kind === "plain" ? document.createTextNode(part) : h("mark", { class: kind }, part),
    );
    if (this.text.dataset.shown !== text) {
      this.text.dataset.shown = text;
      this.text.replaceChildren(...nodes);
    }
    show(this.text, !this.isEditing && text !== "");
    show(this.editor, this.isEditing);
    show(this.resetButton, this.used !== null);
    setText(this.editButton, this.t(this.isEditing ? "done" : "edit"));
  }

  private showNotes(): void {
    const { cut, sources } = this.answer;
    const open = fill(this.current, this.values).filter((segment) => segment.kind === "open");
    const names = [...new Set(open.map((segment) => segment.text))].join(", ");
    const notes = [
      this.used === null ? "" : this.t("edited", { percent: Math.round(this.share * 100) }),
      names && this.answer.status === "done" ? this.t("openPlaceholders", { names }) : "",
      cut.includes("prompt") ? this.t("cutPrompt") : "",
      cut.includes("output") ? this.t("cutOutput") : "",
    ].filter(Boolean);
    this.notes.replaceChildren(...notes.map((note) => h("li", {}, note)));
    show(this.notes, notes.length > 0);
    const links = sources.flatMap((source, index) => [index ? ", " : "", link(source.title, source.url)]);
    this.sources.replaceChildren(`${this.t("sources")}: `, ...links);
    show(this.sources, sources.length > 0);
  }

  /** The text as it would go out. */
  private get current(): string {
    return this.used ?? this.offered;
  }

  private get share(): number {
    return this.used === null ? 0 : editShare(this.offered, this.used);
  }

  private onEdit(): void {
    this.used = this.editor.value === this.offered ? null : this.editor.value;
    this.showNotes();
    show(this.resetButton, this.used !== null);
  }

  private toggleEditor(): void {
    this.isEditing = !this.isEditing;
    if (this.isEditing) this.editor.value = this.current;
    else this.tellEdited();
    this.showText();
    this.showNotes();
    this.form.allowKeepEdit(this.used !== null);
    if (this.isEditing) this.editor.focus();
  }

  /** An edit counts once it is finished, and again only if it went further. */
  private tellEdited(): void {
    const share = this.share;
    if (share > 0 && share !== this.toldShare) this.actions.edited(share);
    this.toldShare = share;
  }

  private reset(): void {
    this.used = null;
    this.isEditing = false;
    this.showText();
    this.showNotes();
    this.form.allowKeepEdit(false);
  }

  private copyButton(): HTMLElement {
    const copy = (): Promise<string> => this.actions.copy(this.current, this.share);
    return h("button", { type: "button", class: "primary", click: () => void this.tell(copy) }, this.t("copy"));
  }

  private actionButton(action: HostAction): HTMLElement {
    const run = (): Promise<string> => this.actions.run(action, this.current, this.share);
    const address = action.confirm?.(this.record);
    const button = h("button", { type: "button" }, this.t(action.key));
    if (address === null) {
      button.disabled = true;
      button.title = this.t("noAddress");
    }
    button.addEventListener("click", () => (address ? this.ask(address, run) : void this.tell(run)));
    return button;
  }

  /** What leaves the house is confirmed, with the address in view. */
  private ask(address: string, run: () => Promise<string>): void {
    const close = (): void => this.confirm.replaceChildren();
    const send = (): void => {
      close();
      void this.tell(run);
    };
    this.confirm.replaceChildren(
      h("p", {}, this.t("confirmMail", { address })),
      h("button", { type: "button", class: "primary", click: send }, this.t("send")),
      h("button", { type: "button", click: close }, this.t("cancel")),
    );
  }

  /** Run once at a time: the buttons rest until it is done, so a double click does it once. */
  private async tell(run: () => Promise<string>): Promise<void> {
    if (this.buttons.hasAttribute("inert")) return;
    this.buttons.setAttribute("inert", "");
    try {
      setText(this.message, await run());
      this.message.classList.remove("bad");
    } catch (error) {
      setText(this.message, (error as Error).message);
      this.message.classList.add("bad");
    } finally {
      this.buttons.removeAttribute("inert");
    }
  }
}
