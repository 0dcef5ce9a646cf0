/**
 * A ticket, its answers side by side, and one form for all scores, for keyboard and mouse alike.
 * What is entered lives here and in this browser's storage until the backend has stored it.
 */
export default function ratingForm({ data, parentElement, setTriggerValue }) {
  const view = viewOf(parentElement, () => new RatingForm(parentElement));
  view.update(data, setTriggerValue);
  return () => view.leave();
}

class RatingForm {
  constructor(parent) {
    this.columns = new Map(); // answer id → AnswerColumn
    this.current = null; // [answer id, metric key] that the next digit scores
    this.pending = null;
    this.root = parent.appendChild(el("div", { class: "board" }));
    this.onKey = (event) => handleKey(this, event);
    document.addEventListener("keydown", this.onKey, true);
  }

  leave() {
    document.removeEventListener("keydown", this.onKey, true);
    window.clearTimeout(this.timer);
  }

  update(data, send) {
    this.data = data;
    this.send = send;
    const identity = JSON.stringify([data.draft_key, data.strings, data.metrics, data.instructions, data.askings]);
    if (identity !== this.identity) this.begin(identity);
    this.settleOutcome(data.outcome);
    this.sync();
  }

  /** Another suggestion, rater or language: build everything anew. */
  begin(identity) {
    this.identity = identity;
    this.draft = new Draft(this.data.draft_key);
    this.kept = { entries: {}, undo: [], seen: {}, editing: false, ...this.draft.read() };
    this.columns.clear();
    this.current = null;
    this.hasBegun = false;
    this.columnsNode = el("div", { class: "columns" });
    this.bar = new Bar(this);
    this.keys = keysDialog(this.data.strings);
    this.skipping = skipDialog(this);
    const instructions = instructionsPanel(this);
    this.root.replaceChildren(
      ...(instructions ? [instructions] : []), ticketPanel(this), this.columnsNode, this.bar.root, this.keys, this.skipping,
    );
  }

  settleOutcome(outcome) {
    if (!outcome || outcome.nonce !== this.pending) return;
    this.pending = null;
    window.clearTimeout(this.timer);
    this.bar.tell(outcome.message, !outcome.ok);
    if (outcome.ok) {
      this.draft.clear();
      this.kept = { entries: {}, undo: [], seen: {}, editing: false };
      this.bar.guided = false;
    }
  }

  sync() {
    const { answers } = this.data;
    for (const answer of answers) {
      if (!this.columns.has(answer.id)) this.columns.set(answer.id, new AnswerColumn(this, answer.id));
      if (answer.status === "done" && !this.kept.seen[answer.id]) this.kept.seen[answer.id] = Date.now();
      this.columns.get(answer.id).update(answer, this.isLocked());
    }
    const wanted = answers.map((answer) => this.columns.get(answer.id).root);
    if (wanted.length !== this.columnsNode.children.length || wanted.some((node, at) => node !== this.columnsNode.children[at])) {
      this.columnsNode.replaceChildren(...wanted);
      this.columnsNode.style.setProperty("--count", wanted.length);
    }
    // Until the rater begins, the first answer is marked, even if another one was done before it.
    if (!this.hasBegun || this.indexOf(this.current) < 0) this.current = this.nextEmpty(null);
    this.mark();
    this.bar.update();
  }

  // ------------------------------------------------------------------ what was entered

  rated() {
    return this.data.answers.filter((answer) => answer.status === "done");
  }

  /** All scores are stored and nobody is changing them. */
  isLocked() {
    const rated = this.rated();
    return rated.length > 0 && rated.every((answer) => answer.rating) && !this.kept.editing;
  }

  /** What this rater has entered for an answer, or has stored before. */
  entry(answerId) {
    const stored = this.data.answers.find((answer) => answer.id === answerId)?.rating;
    const basis = { scores: stored?.scores ?? {}, comment: stored?.comment ?? "", corrected_text: stored?.corrected_text ?? "" };
    return { ...basis, ...this.kept.entries[answerId] };
  }

  set(answerId, name, value) {
    this.kept.entries[answerId] = { ...this.entry(answerId), [name]: value };
    this.draft.write(this.kept);
  }

  score(answerId, metric, score) {
    const { scores } = this.entry(answerId);
    this.kept.undo = [...this.kept.undo.slice(-49), [answerId, metric, scores[metric] ?? null]];
    this.put(answerId, metric, score);
  }

  put(answerId, metric, score) {
    const scores = { ...this.entry(answerId).scores };
    if (score === null) delete scores[metric];
    else scores[metric] = score;
    this.set(answerId, "scores", scores);
    this.moveTo(answerId, metric);
    this.columns.get(answerId).updateScores(this.isLocked());
    this.bar.update();
  }

  undo() {
    const last = this.kept.undo.pop();
    if (!last) return;
    this.put(...last);
    this.columns.get(last[0]).focus(last[1]);
  }

  weighted(scores) {
    const { metrics, number_locale: locale } = this.data;
    if (metrics.some((metric) => scores[metric.key] === undefined)) return null;
    const sum = metrics.reduce((total, metric) => total + metric.weight * scores[metric.key], 0);
    return sum.toLocaleString(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  }

  // ------------------------------------------------------------------ where the next digit goes

  cells() {
    return this.rated().flatMap((answer) => this.data.metrics.map((metric) => [answer.id, metric.key]));
  }

  indexOf(cell) {
    return this.cells().findIndex(([answerId, metric]) => cell && answerId === cell[0] && metric === cell[1]);
  }

  /** The first cell without a score after `cell`, going round; null when all have one. */
  nextEmpty(cell) {
    const cells = this.cells();
    const from = this.indexOf(cell) + 1;
    const ordered = [...cells.slice(from), ...cells.slice(0, from)];
    return ordered.find(([answerId, metric]) => this.entry(answerId).scores[metric] === undefined) ?? null;
  }

  moveTo(answerId, metric) {
    this.hasBegun = true;
    this.current = [answerId, metric];
    this.mark();
  }

  mark() {
    for (const [answerId, column] of this.columns) {
      for (const [metric, { row }] of column.rows) {
        const isCurrent = !this.isLocked() && this.current?.[0] === answerId && this.current[1] === metric;
        row.classList.toggle("current", isCurrent);
      }
    }
  }

  focusCell(cell) {
    if (cell) this.columns.get(cell[0]).focus(cell[1]);
    else this.bar.submitButton.focus();
  }

  guide(metric, score) {
    this.bar.guide(metric, score);
  }

  // ------------------------------------------------------------------ sending

  missing() {
    return this.cells().filter(([answerId, metric]) => this.entry(answerId).scores[metric] === undefined).length;
  }

  submit() {
    const { strings, answers } = this.data;
    if (this.pending || this.isLocked()) return;
    if (!answers.every((answer) => ["done", "failed", "cancelled"].includes(answer.status))) {
      this.bar.tell(strings.still_writing, true);
      return;
    }
    if (this.missing()) {
      this.bar.tell(fill(strings.scores_missing, { count: this.missing() }), true);
      this.focusCell(this.nextEmpty(null));
      return;
    }
    this.pending = newNonce();
    this.bar.tell(strings.storing, false);
    this.timer = window.setTimeout(() => {
      this.pending = null;
      this.bar.tell(strings.no_reply, true);
    }, 30_000);
    this.send("submit", { nonce: this.pending, ratings: this.rated().map((answer) => this.ratingOf(answer)) });
  }

  ratingOf(answer) {
    const own = this.entry(answer.id);
    const seconds = (Date.now() - this.kept.seen[answer.id]) / 1000;
    return {
      answer_id: answer.id, scores: own.scores, comment: own.comment.trim(),
      corrected_text: own.corrected_text.trim() || null,
      seconds: answer.rating ? null : Math.min(86_400, Math.max(0, Math.round(seconds * 10) / 10)),
    };
  }

  change() {
    this.kept.editing = true;
    this.draft.write(this.kept);
    this.sync();
    this.bar.tell("", false);
    this.focusCell(this.cells()[0]);
  }
}
