/** The line that stays in view: what the score under pointer or focus means, how far one is, and what to do next. */
class Bar {
  constructor(board) {
    this.board = board;
    const { strings } = board.data;
    this.guideText = el("p", { class: "guide", "aria-live": "polite" });
    this.progress = el("span", { class: "muted" });
    this.helpButton = el("button", { type: "button", class: "plain keys", onclick: () => board.keys.showModal() }, strings.keys);
    this.skipButton = el("button", { type: "button", class: "plain", onclick: () => board.skipping.showModal() }, strings.skip);
    this.unskipButton = el("button", { type: "button", class: "plain", onclick: () => board.send("skip", { reason: null }) }, strings.unskip);
    this.submitButton = el("button", { type: "button", class: "primary", onclick: () => board.submit() }, strings.submit);
    this.changeButton = el("button", { type: "button", onclick: () => board.change() }, strings.change);
    this.nextButton = el("button", { type: "button", class: "primary", onclick: () => board.send("next", true) }, strings.next);
    this.message = el("p", { class: "message", role: "status" });
    this.root = el(
      "footer", { class: "bar" }, this.guideText,
      el("div", { class: "actions" }, this.progress, this.helpButton, this.skipButton, this.unskipButton, this.changeButton, this.submitButton, this.nextButton),
      this.message,
    );
    this.tellGuide();
  }

  update() {
    const { board } = this;
    const { strings, notice } = board.data;
    const total = board.cells().length;
    const isLocked = board.isLocked();
    const scored = total ? fill(strings.progress, { done: total - board.missing(), total }) : "";
    setText(this.progress, isLocked ? board.data.left : scored);
    this.submitButton.hidden = isLocked || !total;
    this.submitButton.setAttribute("aria-disabled", String(Boolean(board.missing() || board.pending)));
    const hasRated = board.rated().some((answer) => answer.rating);
    this.skipButton.hidden = hasRated || Boolean(board.data.skip);
    this.unskipButton.hidden = hasRated || !board.data.skip;
    this.changeButton.hidden = this.nextButton.hidden = !isLocked;
    if (notice) this.tell(notice, true);
    else if (this.noticeShown) this.tell("", false);
    this.noticeShown = Boolean(notice);
    if (!this.guided) this.tellGuide();
  }

  /** Say what a score of a metric means. */
  guide(metric, score) {
    this.guided = true;
    const { lowest } = this.board.data;
    this.guideText.replaceChildren(el("b", {}, `${metric.description}: ${score}`), el("span", {}, metric.scale[score - lowest]));
  }

  tellGuide() {
    const { strings, answers } = this.board.data;
    const isDone = answers.some((answer) => answer.status === "done");
    let text = isDone ? strings.guide : strings.waiting;
    if (this.board.data.skip) text = strings.skipped;
    if (this.board.isLocked()) text = strings.revealed;
    setText(this.guideText, text);
  }

  tell(message, isWrong) {
    setText(this.message, message);
    this.message.className = isWrong ? "message wrong" : "message muted";
  }
}
