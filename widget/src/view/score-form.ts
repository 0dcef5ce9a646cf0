import type { AnswerPublic, MetricPublic, RatingWrite, RubricPublic, Scores } from "../contract";
import type { Translate } from "../i18n";
import { h, setText, show } from "./dom";

/** `queuedHere`: it waits in a page that the browser gives no storage. */
export type RatingState = "none" | "saved" | "queued" | "queuedHere";

export interface ScoreInput {
  answer: AnswerPublic;
  rating: Pick<RatingWrite, "scores" | "comment"> | null;
  state: RatingState;
  problem: string | null;
  canKeepEdit: boolean;
}

/** The four metrics as rows of buttons, with the rubric's words at hand. Sends only complete ratings. */
export class ScoreForm {
  readonly element: HTMLFormElement;
  private readonly rows: MetricRow[];
  private readonly comment: HTMLTextAreaElement;
  private readonly keepEdit: HTMLInputElement;
  private readonly keepEditRow: HTMLElement;
  private readonly submit: HTMLButtonElement;
  private readonly message: HTMLElement;
  private saved = "";
  private hasRating = false;

  constructor(
    private readonly t: Translate,
    private readonly rubric: RubricPublic,
    slot: string,
    private readonly onSubmit: (scores: Scores, comment: string, keepEdit: boolean) => void,
  ) {
    this.rows = rubric.metrics.map((metric) => new MetricRow(rubric, metric, slot, () => this.refresh()));
    this.comment = h("textarea", { rows: 2, maxlength: 5000, id: `comment-${slot}`, input: () => this.refresh() });
    this.keepEdit = h("input", { type: "checkbox", change: () => this.refresh() });
    this.keepEditRow = h("div", { class: "keep" }, this.keepEditLabel());
    this.submit = h("button", { type: "submit", class: "primary" });
    this.message = h("p", { class: "message", role: "status" });
    this.element = h(
      "form",
      { class: "scores", submit: (event) => this.send(event) },
      h("h2", {}, t("score", { slot })),
      ...this.rows.map((row) => row.element),
      this.scale(),
      h("label", { for: `comment-${slot}` }, t("comment")),
      this.comment,
      this.keepEditRow,
      this.submit,
      this.message,
    );
  }

  update(input: ScoreInput): void {
    const rating = JSON.stringify(input.rating);
    if (input.rating && rating !== this.saved) this.fill(input.rating);
    this.saved = rating;
    this.hasRating = input.rating !== null;
    this.allowKeepEdit(input.canKeepEdit);
    const told = input.problem
      ? this.t("refused", { message: input.problem })
      : input.state === "none"
        ? ""
        : this.t(input.state);
    if (this.isChanged && !input.problem) return; // what is being scored now counts, not what was stored before
    setText(this.message, told);
    this.message.className = input.problem ? "message bad" : "message";
  }

  carryOver(other: ScoreForm): void {
    this.fill({ scores: other.scores, comment: other.comment.value });
    this.keepEdit.checked = other.keepEdit.checked;
  }

  /** Offer to keep the agent's own version, once there is one. */
  allowKeepEdit(isAllowed: boolean): void {
    show(this.keepEditRow, isAllowed);
    if (!isAllowed) this.keepEdit.checked = false;
    this.refresh();
  }

  private fill(rating: Pick<RatingWrite, "scores" | "comment">): void {
    for (const row of this.rows) row.value = rating.scores[row.key] ?? null;
    this.comment.value = rating.comment;
  }

  private get isChanged(): boolean {
    const now = JSON.stringify({ scores: this.scores, comment: this.comment.value.trim() });
    const saved = JSON.parse(this.saved || "null") as { scores: Scores; comment: string } | null;
    const before = saved ? JSON.stringify({ scores: this.ordered(saved.scores), comment: saved.comment }) : "";
    return now !== before || this.keepEdit.checked;
  }

  private ordered(scores: Scores): Scores {
    return Object.fromEntries(this.rows.map((row) => [row.key, scores[row.key] ?? 0]));
  }

  private get scores(): Scores {
    return Object.fromEntries(this.rows.flatMap((row) => (row.value === null ? [] : [[row.key, row.value]])));
  }

  private refresh(): void {
    const missing = this.rows.filter((row) => row.value === null);
    setText(this.submit, this.t(this.hasRating ? "change" : "submit"));
    this.submit.disabled = missing.length > 0 || !this.isChanged;
    const isBegun = missing.length < this.rows.length && missing.length > 0;
    if (missing.length || this.isChanged) {
      setText(this.message, isBegun ? this.t("missing", { metrics: missing.map((row) => row.name).join(", ") }) : "");
      this.message.className = "message hint";
    }
  }

  private send(event: Event): void {
    event.preventDefault();
    if (this.submit.disabled) return;
    this.submit.disabled = true; // until the next change: a second click must not send again
    this.onSubmit(this.scores, this.comment.value.trim(), this.keepEdit.checked);
    this.keepEdit.checked = false;
  }

  private keepEditLabel(): HTMLElement {
    return h(
      "label",
      { class: "check" },
      this.keepEdit,
      h("span", {}, this.t("keepEdit"), h("small", {}, this.t("keepEditHint"))),
    );
  }

  private scale(): HTMLElement {
    const list = (metric: MetricPublic): HTMLElement =>
      h("div", {}, h("h3", {}, metric.name), h("ol", { start: this.rubric.lowest }, ...metric.scale.map((text) => h("li", {}, text))));
    return h("details", {}, h("summary", {}, this.t("scale")), ...this.rubric.metrics.map(list));
  }
}

/** One metric: radio buttons side by side, and below them what the chosen score says. */
class MetricRow {
  readonly element: HTMLFieldSetElement;
  readonly key: string;
  readonly name: string;
  private readonly inputs: HTMLInputElement[] = [];
  private readonly meaning: HTMLElement;

  constructor(
    private readonly rubric: RubricPublic,
    private readonly metric: MetricPublic,
    slot: string,
    onChange: () => void,
  ) {
    this.key = metric.key;
    this.name = metric.name;
    this.meaning = h("p", { class: "meaning" });
    const steps = metric.scale.map((meaning, index) => this.step(rubric.lowest + index, meaning, slot, onChange));
    this.element = h(
      "fieldset",
      {},
      h("legend", { title: metric.description }, metric.name),
      h("div", { class: "steps" }, ...steps),
      this.meaning,
    );
    this.explain();
  }

  get value(): number | null {
    const chosen = this.inputs.find((input) => input.checked);
    return chosen ? Number(chosen.value) : null;
  }

  set value(score: number | null) {
    for (const input of this.inputs) input.checked = Number(input.value) === score;
    this.explain();
  }

  private step(score: number, meaning: string, slot: string, onChange: () => void): HTMLElement {
    const input = h("input", {
      type: "radio",
      name: `${slot}-${this.metric.key}`,
      value: score,
      "aria-label": `${score}: ${meaning}`,
      change: () => {
        this.explain();
        onChange();
      },
    });
    this.inputs.push(input);
    return h("label", { title: meaning }, input, h("span", {}, String(score)));
  }

  private explain(): void {
    const value = this.value;
    setText(this.meaning, value === null ? this.metric.description : (this.metric.scale[value - this.rubric.lowest] ?? ""));
    this.meaning.classList.toggle("chosen", value !== null);
  }
}
